"""Making token files on this machine, one process a sweep, beside everything else that the supervisor does."""

from __future__ import annotations

import time
from typing import NamedTuple

import orjson

from engine.control.children.child import Child
from engine.control.log import put_aside
from engine.errors import NO_ROOM, DamageError, KituiError, StateError
from engine.records.plan import read_plan
from engine.records.workspace import Workspace, read_json

_AFTER_NO_ROOM_S = 10.0
_MOST_KILLS = 3
"""A preparation that was killed so often is not tried again by itself: it may be what fills the memory."""


class Ending(NamedTuple):
    """How a preparation ended."""

    attempt: int
    fault: str
    """What went wrong, if anything did."""


class Preparations:
    """`python -m engine.corpus.prepare make SWEEP`, whose last act is to write which attempt it was: a supervisor that
    comes later does not make again what it finds made."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._running: dict[str, tuple[int, Child]] = {}
        self._endings: dict[str, Ending] = {}
        self._kills: dict[str, int] = {}
        self._not_before_s = 0.0

    def keep(self, name: str, attempt: int) -> None:
        """See that this sweep is prepared, once for each attempt. `attempt`: when it was asked for, in ms."""
        if name in self._running and self._running[name][0] != attempt:
            self.drop(name)
        if name in self._endings and self._endings[name].attempt != attempt:
            del self._endings[name]
        if name in self._running or name in self._endings or time.monotonic() < self._not_before_s:
            return
        if self._is_made(name, attempt):
            self._endings[name] = Ending(attempt, "")
            return
        folder = self._workspace.sweep(name)
        put_aside(folder.prepare_log)
        child = Child(
            "engine.corpus.prepare", "make", str(folder.root), "--attempt", str(attempt),
            log=folder.prepare_log, output=folder.prepare_error,
        )  # fmt: skip
        self._running[name] = (attempt, child)

    def ending(self, name: str) -> Ending | None:
        """How the attempt that was asked for last ended, once it has."""
        if name in self._running:
            attempt, child = self._running[name]
            if child.exit_code is None:
                return None
            del self._running[name]
            if child.exit_code == NO_ROOM:  # to be tried again, and not at once: a quota shows in no disk's free space
                self._not_before_s = time.monotonic() + _AFTER_NO_ROOM_S
                return None
            if child.exit_code < 0:
                self._kills[name] = self._kills.get(name, 0) + 1
                if self._kills[name] < _MOST_KILLS:
                    return None
            self._kills.pop(name, None)  # what is asked for later begins anew
            self._endings[name] = Ending(attempt, self._fault(name, child.exit_code))
        return self._endings.get(name)

    def drop(self, name: str) -> None:
        self._endings.pop(name, None)
        self._kills.pop(name, None)
        if name in self._running:
            self._running.pop(name)[1].end()

    def close(self) -> None:
        for _, child in self._running.values():
            child.ask_to_end()

    def _is_made(self, name: str, attempt: int) -> bool:
        """Whether this attempt has come to its end, and its token files are here. Times are no witness: clocks are set
        back."""
        folder = self._workspace.sweep(name)
        try:
            plan = read_plan(folder.plan) if read_json(folder.prepared) == {"attempt": attempt} else None
        except (DamageError, StateError):
            return False
        return plan is not None and self._workspace.tokens(plan.tokens_id).exists()

    def _fault(self, name: str, code: int) -> str:
        if code == 0:
            return ""
        folder = self._workspace.sweep(name)
        try:
            return str(KituiError.from_json(orjson.loads(folder.prepare_error.read_bytes())))
        except (OSError, orjson.JSONDecodeError):
            return f"preparation ended with code {code}: see {folder.prepare_log}"
