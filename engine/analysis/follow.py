"""Keeping a sweep's law.json current as long as somebody wants it, beside the runs that make the results."""

from __future__ import annotations

import fcntl
import os
import time
from typing import IO

import psutil

from engine.analysis.sweep_analysis import SweepAnalysis
from engine.errors import is_no_room
from engine.records.analysis import AnalysisDocument
from engine.records.digests import results_digest
from engine.records.plan import Plan, read_plan
from engine.records.record import write_record
from engine.records.workspace import SweepFolder, Workspace

_POLL_S = 0.3
_LOWEST_PRIORITY = 19
_SHARE = 0.012
"""Of the cores' time, where others want them: with what it takes to start, 2 % of a sweep's."""
_WATCH_SHARE = 0.005
"""Of one core's time, for looking whether results have come in."""
_IDLE_CORES = 0.7


def keep(folder: SweepFolder, document: AnalysisDocument) -> bool:
    """Write law.json; False where the disk has no room for it."""
    try:
        write_record(folder.law, document, indented=False)
    except OSError as error:
        if not is_no_room(error):
            raise
        return False
    return True


def follow(folder: SweepFolder, workspace: Workspace, parent_pid: int) -> None:
    """Keep law.json current as long as the parent lives. There is one writer: where the follower of a supervisor that
    was killed is still at its last fit, wait for it.

    The parent is named by whoever starts this: by the time that this process could ask, it may be gone already."""
    while os.getppid() == parent_pid:
        with Ownership(folder) as owned:
            if owned:
                _keep_current(folder, workspace, parent_pid)
        time.sleep(_POLL_S)


def _keep_current(folder: SweepFolder, workspace: Workspace, parent_pid: int) -> None:
    """Results that have come in are shown at once where a core is idle, else at a pace that leaves the cores to runs.
    Then, as long as none come, all curves are brought up to the scatter as it is."""
    analysis, pace = SweepAnalysis(folder, workspace), _Pace()
    written_for: str | None = None
    is_settled = True
    while os.getppid() == parent_pid:
        started = time.process_time()
        plan = read_plan(folder.plan)
        digest = results_digest(plan, folder, workspace) if plan else None
        looked_s = time.process_time() - started
        is_new = digest is not None and digest != written_for
        is_due = is_new or not is_settled
        is_last = is_due and plan is not None and _has_all_results(plan, workspace)
        if is_due and (is_last or pace.allows()):
            is_first = written_for is None
            # The first document is whole; so is the last, and one that nothing new has come in for.
            document = analysis.document(is_settled=is_first or is_last or not is_new)
            if keep(folder, document):
                written_for, is_settled = digest, analysis.num_unsettled == 0
                if is_first:  # somebody waits for it; the next ones are for those who watch runs
                    os.nice(_LOWEST_PRIORITY)
            pace.took(time.process_time() - started)
        time.sleep(max(_POLL_S, looked_s / _WATCH_SHARE))


def _has_all_results(plan: Plan, workspace: Workspace) -> bool:
    """Whether no run of the sweep is to come: there is nothing left to make way for, or to wait for."""
    return all(workspace.run(cell.run_id).result(plan.evaluation_id).exists() for cell in plan.cells)


class _Pace:
    """When the next fit may be: whenever a core is idle, else when the last one's time is made up for."""

    def __init__(self) -> None:
        self._not_before = 0.0
        self._num_cores = len(os.sched_getaffinity(0))
        psutil.cpu_percent()

    def took(self, cpu_s: float) -> None:
        self._not_before = time.monotonic() + cpu_s / (_SHARE * self._num_cores)
        psutil.cpu_percent()  # what comes next is counted from here

    def allows(self) -> bool:
        if time.monotonic() >= self._not_before:
            return True
        busy = float(psutil.cpu_percent()) / 100
        return (1 - busy) * (os.cpu_count() or 1) >= _IDLE_CORES


class Ownership:
    """The right to write a sweep's law.json, held by a lock file; entering gives whether it was free."""

    def __init__(self, folder: SweepFolder) -> None:
        self._path = folder.root / "law.lock"

    def __enter__(self) -> bool:
        self._handle: IO[str] | None = None
        try:
            self._handle = self._path.open("w")
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if self._handle is None and not is_no_room(error):
                raise
            return False
        return True

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.close()
