"""Valid records for tests, each with what the test is about and defaults for the rest."""

from __future__ import annotations

from typing import Any

from engine.records.processes import ExitRecord
from engine.records.states import HostState, RunState, RunStatus, RunSummary, SweepState

EVALUATION = "e"


def make_summary(**changes: Any) -> RunSummary:
    """Of a run that is done."""
    known: dict[str, Any] = {"status": "done", "elapsed_s": 10.0, "tokens_per_s": 1000.0, "trained_tokens": 10_000}
    return RunSummary(**known | changes)


def make_run(name: str = "run", status: RunStatus | str = RunStatus.QUEUED, **changes: Any) -> RunState:
    """A run; one that is done has its result, unless `results` says otherwise."""
    status = RunStatus(status)
    known: dict[str, Any] = {"attempt": 0 if status is RunStatus.QUEUED else 1}
    if status is RunStatus.DONE:
        known["results"] = {EVALUATION: make_summary()}
    if status is RunStatus.RUNNING:
        known |= {"started_s": 0.0, "slot": "cpu:0"}
    return RunState(name=name, status=status, **known | changes)


def make_sweep(run_ids: str | list[str] | tuple[str, ...] = (), name: str = "sweep", **changes: Any) -> SweepState:
    """A launched sweep that is prepared and active."""
    known: dict[str, Any] = {"active": True, "prepared": True, "evaluation_id": EVALUATION, "max_attempts": 3}
    return SweepState(name=name, run_ids=tuple(run_ids), **known | changes)


def make_host(name: str = "gpu1", **changes: Any) -> HostState:
    return HostState(name=name, **{"slots": 2} | changes)


def make_exit(attempt: int = 1, returncode: int | None = 0, **changes: Any) -> ExitRecord:
    known: dict[str, Any] = {"signal": None, "started_s": 0.0, "ended_s": 10.0}
    return ExitRecord(attempt=attempt, returncode=returncode, **known | changes)
