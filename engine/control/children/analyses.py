"""The analyses that go on beside training: one process a sweep, which keeps its law.json current."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

from engine.records.results import Plan, results_digest
from engine.records.workspace import Workspace, read_json

MAX_FAILURES = 3


class Followers:
    """`python -m engine.analysis.fit SWEEP --follow` for each sweep that is kept, started again if it ends by itself,
    a few times."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._failures: Counter[str] = Counter()

    def keep(self, name: str) -> None:
        """See that this sweep is being analysed."""
        process = self._processes.get(name)
        if process is not None and process.poll() is not None:
            del self._processes[name]
            self._failures[name] += 1
        if name not in self._processes and self._failures[name] <= MAX_FAILURES:
            self._start(name)

    def fault(self, name: str) -> str | None:
        """Why this sweep is no longer analysed, if it is not."""
        if self._failures[name] <= MAX_FAILURES:
            return None
        return f"the analysis ended by itself: see {self._workspace.supervisor_log}"

    def drop(self, name: str) -> None:
        """End the analysis of a sweep. A later `keep` begins afresh."""
        self._failures.pop(name, None)
        process = self._processes.pop(name, None)
        if process is not None:
            process.terminate()
            process.wait()

    def close(self) -> None:
        for process in self._processes.values():
            process.terminate()

    def _start(self, name: str) -> None:
        argv = [sys.executable, "-m", "engine.analysis.fit", str(self._workspace.sweep(name).root), "--follow"]
        with self._workspace.supervisor_log.open("ab") as log:
            self._processes[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )


def law_is_behind(plan: Plan, workspace: Workspace) -> bool:
    """Whether law.json still lacks a result that is there."""
    folder = workspace.sweep(plan.sweep)
    law = read_json(folder.law)
    return law is None or law["inputs"] != results_digest(plan, folder, workspace)
