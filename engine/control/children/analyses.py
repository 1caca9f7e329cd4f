"""The analyses that go on beside training: one process a sweep, which keeps its law.json current."""

from __future__ import annotations

import os
from collections import Counter

from engine.control.children.child import Child
from engine.records.workspace import Workspace

MAX_FAILURES = 3


class Analyses:
    """`python -m engine.analysis.fit SWEEP --follow PID` for each sweep that is kept, started again if it ends by
    itself, a few times."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._running: dict[str, Child] = {}
        self._failures: Counter[str] = Counter()

    def keep(self, name: str) -> None:
        """See that this sweep is being analysed."""
        child = self._running.get(name)
        if child is not None and child.exit_code is not None:
            del self._running[name]
            self._failures[name] += 1
        if name not in self._running and self._failures[name] <= MAX_FAILURES:
            folder = str(self._workspace.sweep(name).root)
            self._running[name] = Child(
                "engine.analysis.fit",
                folder,
                "--follow",
                str(os.getpid()),
                log=self._workspace.supervisor_log,
                one_thread=True,
            )

    def fault(self, name: str) -> str | None:
        """Why this sweep is no longer analysed, if it is not."""
        if self._failures[name] <= MAX_FAILURES:
            return None
        return f"the analysis ended by itself: see {self._workspace.supervisor_log}"

    def drop(self, name: str) -> None:
        """End the analysis of a sweep. A later `keep` begins afresh."""
        self._failures.pop(name, None)
        child = self._running.pop(name, None)
        if child is not None:
            child.end()

    def close(self) -> None:
        for child in self._running.values():
            child.ask_to_end()
