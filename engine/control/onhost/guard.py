"""The guard: the small process that owns one run. Standard library only; started by file path; runs anywhere.

    python guard.py RUN_FOLDER

It reads `launch.json` (attempt, argv, env, cwd), starts the training process, writes `guard.json` saying who runs, and,
when the process ends, `exit.json` saying how: atomically, so that no reader sees half of one. SIGTERM is passed on to
the process and its children, SIGKILL after a grace time. If the guard itself is killed, the kernel kills its child, so
that a run never goes on unowned. A second guard on the same run folder leaves at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, TypeVar

GRACE_S = 60
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
_RETRY_S = 1.0
_T = TypeVar("_T")
_PR_SET_PDEATHSIG = 1
_REASON_CHARS = 300


def guard(folder: str, child_main: Callable[[list[str]], int] | None = None) -> int:
    """Own the run in `folder` until it ends. With `child_main` the child calls it with argv instead of executing argv:
    the warm start. Returns 0 when the run's end is recorded, 3 if another guard owns it."""
    lock = _when_there_is_room(lambda: os.open(os.path.join(folder, "run.lock"), os.O_CREAT | os.O_RDWR, 0o600))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 3
    with open(os.path.join(folder, "launch.json"), encoding="utf-8") as handle:
        launch = json.load(handle)
    started_s, begun_s = time.time(), time.monotonic()
    _when_there_is_room(lambda: _redirect(os.path.join(folder, "log.txt")))
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop.request)
    signal.signal(signal.SIGUSR1, stop.warn)  # a scheduler, some time before it ends the job
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, stop.kill)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    guard_pid = os.getpid()
    child = os.fork()
    if child == 0:
        _become_child(launch, child_main, guard_pid)
    stop.aim(child)
    identity = {"pid": guard_pid, "start_ticks": start_ticks(guard_pid), "boot_id": boot_id()}
    _write(folder, "guard.json", {"attempt": launch["attempt"], "child_pid": child, "started_s": started_s, **identity})
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    code = os.waitstatus_to_exitcode(status)
    _kill_group(child, signal.SIGKILL)  # children that the run may have left
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    _write(
        folder,
        "exit.json",
        {
            "attempt": launch["attempt"],
            "returncode": code if code >= 0 else None,
            "signal": signal.Signals(-code).name if code < 0 else None,
            "stopped": stop.requested,
            "warned": stop.warned,
            "started_s": started_s,
            "ended_s": time.time(),
            "elapsed_s": time.monotonic() - begun_s,  # the clock may have been set in between
            "max_rss_bytes": usage.ru_maxrss * 1024,
            "reason": "" if code == 0 else _last_line(os.path.join(folder, "log.txt")),
        },
    )
    return 0


class _Stop:
    """A request to stop: TERM to the child's process group now, KILL after the grace time."""

    def __init__(self) -> None:
        self.requested = False
        self.warned = False
        self._child: int | None = None
        self._counting = False

    def aim(self, child: int) -> None:
        self._child = child
        if self.requested:  # asked before there was a child
            self.request(signal.SIGTERM, None)

    def request(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True
        if self._child is not None:
            _kill_group(self._child, signal.SIGTERM)
            if not self._counting:  # a second request does not lengthen the grace time
                signal.alarm(GRACE_S)
                self._counting = True

    def warn(self, _signal: int, _frame: FrameType | None) -> None:
        self.warned = True
        self.request(_signal, None)

    def kill(self, _signal: int, _frame: FrameType | None) -> None:
        if self._child is not None:
            _kill_group(self._child, signal.SIGKILL)


def _become_child(launch: dict[str, Any], child_main: Callable[[list[str]], int] | None, guard_pid: int) -> NoReturn:
    """In the forked child: its own process group, death with the guard, then the run."""
    code = 1
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard_pid:  # the guard died in between
            os._exit(1)
        for name in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGALRM):
            signal.signal(name, signal.SIG_DFL)
        os.environ.update(launch.get("env", {}))
        os.chdir(launch.get("cwd", "/"))
        if child_main is None:
            os.execvp(launch["argv"][0], launch["argv"])
        code = child_main(launch["argv"])
    except BaseException:
        import traceback

        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # the log may lie on a full disk: the code says how it ended
                stream.flush()
        os._exit(code)


def _redirect(log_path: str) -> None:
    """Standard input from nowhere, standard output and error appended to the log."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nowhere, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nowhere)
    os.close(log)


def _when_there_is_room(action: Callable[[], _T]) -> _T:
    """Try until the disk has room: a run's end that is not recorded is a run that is lost."""
    while True:
        try:
            return action()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            time.sleep(_RETRY_S)


def _write(folder: str, name: str, content: dict[str, Any]) -> None:
    _when_there_is_room(lambda: _write_now(folder, name, content))


def _write_now(folder: str, name: str, content: dict[str, Any]) -> None:
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    with open(temporary, "w", encoding="utf-8") as handle:
        json.dump(content, handle)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, os.path.join(folder, name))


def _kill_group(child: int, signal_number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal_number)


def _last_line(path: str) -> str:
    """The last line of the log that says anything: what a failed run is known by."""
    with open(path, "rb") as handle:
        handle.seek(0, os.SEEK_END)
        handle.seek(max(0, handle.tell() - 8192))
        lines = [line.strip() for line in handle.read().decode(errors="replace").splitlines()]
    said = [line for line in lines if line]
    return said[-1][:_REASON_CHARS] if said else ""


def boot_id() -> str:
    """What this machine is called since it was started; process numbers mean nothing after that."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as handle:
            return handle.read().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if there is no such process or it is a zombie.

    With pid and boot id this names a process for good: pids come round again.
    """
    fields = _stat(pid)
    return None if not fields or fields[0] in (b"Z", b"X") else int(fields[19])


def is_stopped(pid: int) -> bool:
    """Whether somebody has stopped the process (SIGSTOP, ctrl+z, a debugger): it lives, and does nothing."""
    return _stat(pid)[:1] in ([b"T"], [b"t"])


def _stat(pid: int) -> list[bytes]:
    """From its state on; none where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            return handle.read().rpartition(b")")[2].split()
    except OSError:
        return []


def is_alive(pid: int, ticks: int | None, boot: str) -> bool:
    """Whether the process that a `guard.json` or a lock file names still runs, on this machine since this boot."""
    return boot == boot_id() and start_ticks(pid) == ticks


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):  # leads a session, or a scheduler's group of processes, already
        os.setsid()
    sys.exit(guard(sys.argv[1]))
