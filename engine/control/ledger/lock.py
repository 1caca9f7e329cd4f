"""The right to write a workspace's state, held for a process's life; the lock file says by whom."""

from __future__ import annotations

import fcntl
import os
import platform
from types import TracebackType

from engine.control.onhost.guard import boot_id, is_alive, is_stopped, start_ticks
from engine.errors import StateError
from engine.records.record import Record, decoded, encoded
from engine.records.workspace import Workspace

STATE_FORMAT = 3
"""Of `state.json` and of the commands in the queue. Raise it where a program of before could not read them; give
`state_file` the way from the format before."""


class Holder(Record, frozen=True, kw_only=True):
    """`supervisor.lock`: the process that may write."""

    host: str
    pid: int
    start_ticks: int | None
    boot_id: str
    state_format: int = 1
    """The format that it writes; the first one did not say."""

    @property
    def is_stopped(self) -> bool:
        """Whether it lives and does nothing, for it was sent SIGSTOP. Of another machine nobody can tell."""
        return self.host == platform.node() and is_stopped(self.pid)

    def stopped_words(self) -> str:
        return f"the supervisor (process {self.pid}) is stopped: kill -CONT {self.pid} lets it go on"


class Lock:
    """Held by the one process that may change the workspace's state; the kernel lets go of it when that dies."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.supervisor_lock
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """StateError names the holder if another process has it."""
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            holder = self.holder()
            who = f"process {holder.pid} on {holder.host}" if holder is not None else "another process"
            raise StateError(
                f"{who} holds this workspace.",
                where=str(self._path),
                mend="Only one supervisor may write it; work on that machine, or choose another workspace.",
            ) from None
        identity = Holder(
            host=platform.node(),
            pid=os.getpid(),
            start_ticks=start_ticks(os.getpid()),
            boot_id=boot_id(),
            state_format=STATE_FORMAT,
        )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, encoded(identity), 0)
        os.fsync(descriptor)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> Holder | None:
        """Who holds the lock, by the file's own words; None where nobody does. A process of this machine that has died
        holds nothing; one of another machine is believed."""
        try:
            holder = decoded(Holder, self._path.read_bytes())
        except (OSError, ValueError):  # not there, or not written yet; msgspec's errors are ValueErrors
            return None
        if holder.host == platform.node() and not is_alive(holder.pid, holder.start_ticks, holder.boot_id):
            return None
        return holder

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.release()
