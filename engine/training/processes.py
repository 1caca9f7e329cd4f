"""One run by several processes: starts them, ends all when one fails, and passes on how they ended.

    python -m engine.training.processes NUM RUN_FOLDER [further arguments of engine.training.run]

Each process learns who it is by torchrun's variables. torchrun itself would put each into a session of its own, where a
guard's signals do not reach it, end what takes over 30 s for its checkpoint, and say 1 for every exit code. In a Slurm
job of several nodes srun starts them. Nothing large is imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine.errors import STOPPED_AFTER_CHECKPOINT

_AFTER_A_FAULT_S = 3.0
"""Others see it too by then, and say in their own words what they missed: only the first one's words are shown."""
_PR_SET_PDEATHSIG = 1
_LAST_WORDS_BYTES = 8192
_MODULE = "engine.training.run"


def train(num_processes: int, arguments: list[str]) -> int:
    """Run them to their ends. The exit code of the first that failed; 75 where they stopped after a checkpoint; else
    0. Where it was a signal that ended the first, it ends this process too."""
    argv = [sys.executable, "-m", _MODULE, *arguments]
    if "KITUI_JOB" in os.environ and int(os.environ.get("SLURM_JOB_NUM_NODES", "1")) > 1:
        return _over_nodes(num_processes, argv)
    with tempfile.TemporaryDirectory(prefix="kitui-") as folder:
        outputs = [Path(folder, f"rank{rank}") for rank in range(1, num_processes)]
        processes = []
        for rank in range(num_processes):
            who = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num_processes, "KITUI_MEET": f"file://{folder}/meet"}
            environment = os.environ | {name: str(value) for name, value in who.items()}
            # The first rank speaks for all; the others are heard where one of them fails.
            output = outputs[rank - 1].open("wb") if rank else None
            processes.append(
                subprocess.Popen(argv, env=environment, stdout=output, stderr=output, preexec_fn=_ends_with_parent())
            )
        _pass_on_signals(processes)
        failed = _wait(processes)
        if failed is None:
            codes = {process.returncode for process in processes}
            return STOPPED_AFTER_CHECKPOINT if STOPPED_AFTER_CHECKPOINT in codes else 0
        if failed:
            with contextlib.suppress(OSError):  # on a full disk the code alone says how it ended
                sys.stderr.write(outputs[failed - 1].read_bytes()[-_LAST_WORDS_BYTES:].decode(errors="replace"))
                sys.stderr.flush()
    return _as(processes[failed].returncode)


def _wait(processes: list[subprocess.Popen[bytes]]) -> int | None:
    """Until all have ended. The number of the one that failed first, after which the rest is ended, or None."""
    failed, since_s = None, 0.0
    while None in [process.poll() for process in processes]:
        if failed is None:
            failed, since_s = _first_failed(processes), time.monotonic()
        elif time.monotonic() - since_s > _AFTER_A_FAULT_S:
            for process in processes:
                process.kill()
        time.sleep(0.05)
    return _first_failed(processes) if failed is None else failed


def _first_failed(processes: list[subprocess.Popen[bytes]]) -> int | None:
    """Of those that failed since the last look, one that a signal ended, or that said more than that something went
    wrong: the others lost their connection to it."""
    failed = [n for n, p in enumerate(processes) if p.returncode not in (None, 0, STOPPED_AFTER_CHECKPOINT)]
    return min(failed, key=lambda n: (processes[n].returncode > 0, processes[n].returncode == 1), default=None)


def _over_nodes(num_processes: int, argv: list[str]) -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"MASTER_ADDR": socket.gethostname(), "MASTER_PORT": str(port), "KITUI_SRUN": "1"}
    srun = ["srun", f"--ntasks={num_processes}", "--kill-on-bad-exit=0", "--wait=30", "--unbuffered"]
    if "SLURM_CPUS_PER_TASK" in os.environ:  # since Slurm 22.05 srun does not take it from sbatch
        srun.append(f"--cpus-per-task={os.environ['SLURM_CPUS_PER_TASK']}")
    # Out of reach of what is sent to this process's group: a SIGTERM has srun kill its tasks. SIGUSR1 it passes on.
    process = subprocess.Popen([*srun, *argv], env=environment, preexec_fn=_ends_with_parent(), start_new_session=True)
    _pass_on_signals([process], signal.SIGUSR1)
    code = process.wait()
    return _as(128 - code if code > 128 else code)  # 128 and the signal that ended a task


def _pass_on_signals(processes: list[subprocess.Popen[bytes]], as_signal: int = signal.SIGTERM) -> None:
    """A request to end this process is one to end those."""

    def pass_on(_number: int, _frame: object) -> None:
        for process in processes:
            process.send_signal(as_signal)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)


def _ends_with_parent() -> Callable[[], None]:
    """What has the kernel end a child with this process, even if that is killed."""
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) and None


def _as(returncode: int) -> int:
    if returncode < 0:
        signal.signal(-returncode, signal.SIG_DFL) if -returncode != signal.SIGKILL else None
        os.kill(os.getpid(), -returncode)
    return returncode


if __name__ == "__main__":
    sys.exit(train(int(sys.argv[1]), sys.argv[2:]))
