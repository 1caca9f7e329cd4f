"""Commands to the supervisor: files in the workspace's queue folder, each answered by a file beside it."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from engine.control.store import Lock, State
from engine.errors import KituiError, StateError
from engine.records.workspace import Workspace, read_json, write_json

_POLL_S = 0.05
_TIMEOUT_S = 60.0
_REVIVE_EVERY_S = 3.0
_counter = itertools.count()


def submit(workspace: Workspace, command: dict[str, Any], *, timeout_s: float = _TIMEOUT_S) -> dict[str, Any]:
    """Leave a command, see that a supervisor runs, and wait for its answer.

    Raises the error that the answer carries; StateError where nobody answers, or where the workspace is held by another
    machine. The command stays queued then: the next supervisor obeys it.
    """
    workspace.create()
    path = workspace.queue / f"{time.time_ns():020d}-{os.getpid()}-{next(_counter)}.json"
    write_json(path, command)
    answer_path = path.with_suffix(".reply")
    deadline = time.monotonic() + timeout_s
    next_look = 0.0
    while time.monotonic() < deadline:
        answer = read_json(answer_path)
        if answer is not None:
            answer_path.unlink(missing_ok=True)
            if not answer["ok"]:
                raise KituiError.from_json(answer)
            return dict(answer)
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


def ensure_supervisor(workspace: Workspace) -> None:
    """Start a supervisor unless one runs. It goes on when this process and its terminal are gone. StateError where
    another machine holds the workspace."""
    holder = Lock(workspace).holder()
    if holder is not None:
        if holder["host"] != platform.node():
            raise StateError(
                f"process {holder['pid']} on {holder['host']} holds this workspace.",
                where=str(workspace.root),
                mend="Work on that machine, or choose another workspace.",
            )
        return
    with workspace.supervisor_log.open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "engine.control.supervisor", str(workspace.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


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
        if any(sweep["active"] for sweep in state.sweeps.values()) and Lock(self._workspace).holder() is None:
            with contextlib.suppress(OSError, StateError):
                ensure_supervisor(self._workspace)


def pending_commands(workspace: Workspace) -> list[tuple[Path, dict[str, Any]]]:
    """The commands waiting, oldest first. A file that is no command is put aside."""
    commands = []
    for path in sorted(workspace.queue.glob("*.json")):
        try:
            content = orjson.loads(path.read_bytes())
            commands.append((path, {"command": content["command"], **content}))
        except (OSError, orjson.JSONDecodeError, TypeError, KeyError):
            path.rename(path.with_suffix(".unreadable"))
    return commands


def reply(path: Path, answer: dict[str, Any]) -> None:
    """Answer a command, then take it off the queue: killed in between, it is obeyed again, which changes nothing."""
    try:
        write_json(path.with_suffix(".reply"), answer)
    finally:
        path.unlink(missing_ok=True)
