"""Making token files on this machine, one process a sweep, beside everything else that the supervisor does."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from engine.control.children.child import Child
from engine.errors import KituiError, StateError
from engine.records.workspace import Workspace, read_json, write_json


class Ending(NamedTuple):
    attempt: int
    fault: str
    """What went wrong, if anything did."""


class Preparations:
    """`python -m engine.corpus.prepare make SWEEP`. Which attempt is ready stands in a file of the sweep's folder: the
    next supervisor does not make it again."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._running: dict[str, tuple[int, Child]] = {}
        self._endings: dict[str, Ending] = {}

    def keep(self, name: str, attempt: int) -> None:
        """See that this sweep is prepared, once for each attempt."""
        if name in self._running or self._ending_of(name, attempt) is not None:
            return
        folder = self._workspace.sweep(name)
        child = Child(
            "engine.corpus.prepare", "make", str(folder.root), log=folder.prepare_log, output=folder.prepare_error
        )
        self._running[name] = (attempt, child)

    def ending(self, name: str) -> Ending | None:
        """How the attempt that was asked for last ended, once it has."""
        if name in self._running:
            attempt, child = self._running[name]
            if child.exit_code is None:
                return None
            del self._running[name]
            self._endings[name] = Ending(attempt, self._fault(name, child.exit_code))
            if not self._endings[name].fault:
                write_json(self._workspace.sweep(name).prepared, {"attempt": attempt})
        return self._endings.get(name)

    def drop(self, name: str) -> None:
        self._endings.pop(name, None)
        if name in self._running:
            self._running.pop(name)[1].end()

    def close(self) -> None:
        for _, child in self._running.values():
            child.ask_to_end()

    def _ending_of(self, name: str, attempt: int) -> Ending | None:
        known = self._endings.get(name)
        if known is None or known.attempt != attempt:
            self._endings.pop(name, None)
            try:
                word = read_json(self._workspace.sweep(name).prepared)
            except StateError:
                word = None
            if word == {"attempt": attempt}:
                self._endings[name] = Ending(attempt, "")
        return self._endings.get(name)

    def _fault(self, name: str, code: int) -> str:
        if code == 0:
            return ""
        folder = self._workspace.sweep(name)
        try:
            return str(KituiError.from_json(orjson.loads(folder.prepare_error.read_bytes())))
        except (OSError, orjson.JSONDecodeError):
            return f"preparation ended with code {code}: see {folder.prepare_log}"
