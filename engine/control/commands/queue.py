"""Commands to the supervisor: files in the workspace's queue folder, each answered by a file beside it."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from engine.control.ledger.lock import STATE_FORMAT, Lock
from engine.control.ledger.state_file import State
from engine.control.log import put_aside
from engine.errors import StateError
from engine.records.commands import (
    Answer,
    Command,
    Launch,
    Launched,
    Obeyed,
    Order,
    Refused,
    decoded_answer,
    decoded_command,
)
from engine.records.record import encoded
from engine.records.workspace import Workspace, write_atomically

_POLL_S = 0.05
_TIMEOUT_S = 60.0
_REVIVE_EVERY_S = 3.0
_LEAVE_LIMIT_S = 30.0
_counter = itertools.count()


class OlderSupervisorError(StateError):
    """The supervisor that runs is of an older kitui: it would not understand what is asked of it."""


def launch(workspace: Workspace, command: Launch) -> Launched:
    """Hand a sweep to the supervisor. Raises as `order` does."""
    answer = _submit(workspace, command, _TIMEOUT_S)
    assert isinstance(answer, Launched)
    return answer


def order(workspace: Workspace, command: Order, *, timeout_s: float = _TIMEOUT_S) -> Obeyed:
    """Leave a command, see that a supervisor runs, and wait for its answer.

    Raises the error that the answer carries; StateError where nobody answers in time (the command stays queued: the
    next supervisor obeys it). With nothing left in the queue: StateError where another machine holds the workspace or
    the supervisor is stopped, and OlderSupervisorError.
    """
    answer = _submit(workspace, command, timeout_s)
    assert isinstance(answer, Obeyed)
    return answer


def _submit(workspace: Workspace, command: Command, timeout_s: float) -> Launched | Obeyed:
    workspace.create()
    _refuse_older_supervisor(workspace)
    path = workspace.queue / f"{time.time_ns():020d}-{os.getpid()}-{next(_counter)}.json"
    write_atomically(path, encoded(command))
    answer_path = path.with_suffix(".reply")
    deadline = time.monotonic() + timeout_s
    next_look = 0.0
    while time.monotonic() < deadline:
        answer = _read_answer(answer_path)
        if answer is not None:
            answer_path.unlink(missing_ok=True)
            if isinstance(answer, Refused):
                raise answer.raised()
            return answer
        if time.monotonic() >= next_look:
            try:
                ensure_supervisor(workspace)
            except StateError:
                path.unlink(missing_ok=True)
                raise
            next_look = time.monotonic() + 1.0
        time.sleep(_POLL_S)
    raise StateError(
        f"the supervisor did not answer within {timeout_s:.0f} s.",
        where=str(workspace.root),
        mend=f"Its log is {workspace.supervisor_log}.",
    )


def _read_answer(path: Path) -> Answer | None:
    try:
        return decoded_answer(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise StateError(f"cannot be read: {error}.", where=str(path)) from None


def _refuse_older_supervisor(workspace: Workspace) -> None:
    holder = Lock(workspace).holder()
    if holder is not None and holder.host == platform.node() and holder.state_format < STATE_FORMAT:
        raise OlderSupervisorError(
            f"the supervisor that runs (process {holder.pid}) is of an older kitui than this.",
            where=str(workspace.root),
            mend="kitui restart-supervisor puts this one in its place; all runs go on.",
        )


def ensure_supervisor(workspace: Workspace) -> None:
    """Start a supervisor unless one runs. It goes on when this process and its terminal are gone. StateError where
    another machine holds the workspace, or the supervisor is stopped."""
    holder = Lock(workspace).holder()
    if holder is not None:
        if holder.host != platform.node():
            raise StateError(
                f"process {holder.pid} on {holder.host} holds this workspace.",
                where=str(workspace.root),
                mend="Work on that machine, or choose another workspace.",
            )
        if holder.is_stopped:
            raise StateError(f"{holder.stopped_words()}.", where=str(workspace.root))
        return
    put_aside(workspace.supervisor_log)
    descriptor = os.open(workspace.supervisor_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "engine.control.supervisor", str(workspace.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def restart_supervisor(workspace: Workspace) -> None:
    """End the supervisor that runs, if one does, and start one of this kitui; runs go on meanwhile. StateError where it
    does not leave, or another machine holds the workspace."""
    holder = Lock(workspace).holder()
    if holder is not None and holder.host == platform.node():
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGTERM)
            os.kill(holder.pid, signal.SIGCONT)  # a stopped one hears of it then
        deadline = time.monotonic() + _LEAVE_LIMIT_S
        while Lock(workspace).holder() is not None:
            if time.monotonic() > deadline:
                raise StateError(f"process {holder.pid} does not leave.", where=str(workspace.root), mend="Kill it.")
            time.sleep(_POLL_S)
    ensure_supervisor(workspace)


class Reviver:
    """Starts a supervisor again where one died with work left (killed, or the machine went down). Viewers look now and
    then; where another machine holds the workspace, or it cannot be written, nothing is done."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._next_look_s = 0.0

    def look(self, state: State) -> None:
        if time.monotonic() < self._next_look_s:
            return
        self._next_look_s = time.monotonic() + _REVIVE_EVERY_S
        if any(sweep.active for sweep in state.sweeps.values()) and Lock(self._workspace).holder() is None:
            with contextlib.suppress(OSError, StateError):
                ensure_supervisor(self._workspace)


def pending_commands(workspace: Workspace) -> list[tuple[Path, Command]]:
    """The commands waiting, oldest first. A file that is no command is put aside."""
    commands = []
    for path in sorted(workspace.queue.glob("*.json")):
        try:
            commands.append((path, decoded_command(path.read_bytes())))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            path.rename(path.with_suffix(".unreadable"))
    return commands


def reply(path: Path, answer: Answer) -> None:
    """Answer a command, then take it off the queue: killed in between, it is obeyed again, which changes nothing."""
    try:
        write_atomically(path.with_suffix(".reply"), encoded(answer))
    finally:
        path.unlink(missing_ok=True)
