"""Since you left."""

from __future__ import annotations

import time

import pytest

from engine.records.analysis import AnalysisDocument, CollapsePoint, LawDocument
from engine.records.conditions import Condition
from engine.records.record import encoded
from engine.records.states import RunState, SweepState
from engine.records.workspace import Workspace, write_atomically
from kitui.tui.live.last_visit import LastVisit
from tests.factory import make_run, make_sweep


def law(workspace: Workspace, frequency: float) -> None:
    folder = workspace.sweep("demo")
    folder.root.mkdir(exist_ok=True)
    point = CollapsePoint(
        condition=Condition(num_params=7000, num_tokens=96_000, templates=1),
        status="observed",
        collapse_frequency=frequency, interval=(None, None), half_drop_frequency=None, best_frequency=None, drop=None,
        shape=None, p_value_no_collapse=None, acquisition_frequency=None, reason="",
    )  # fmt: skip
    found = LawDocument(
        sweep="demo", simulated=False, fact_set="overall", collapse_points=(point,), laws=(), template_effect=None,
        warnings=(), reason=None,
    )  # fmt: skip
    document = AnalysisDocument(sweep="demo", simulated=False, curves=(), inputs="", law=found)
    write_atomically(folder.law, encoded(document))


def state(ended_s: float) -> tuple[dict[str, SweepState], dict[str, RunState]]:
    runs = {name: make_run(name, status, ended_s=ended_s) for name, status in (("a", "done"), ("b", "failed"))}
    return {"demo": make_sweep("abc", "demo")}, runs


def test_what_ended_failed_and_moved_is_told_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    law(workspace, 52.0)
    sweeps, runs = state(time.time() - 10)
    assert LastVisit(workspace).news(sweeps, runs) == ()  # a first visit: nothing was left
    before = time.time() - 3600
    with monkeypatch.context() as past:
        past.setattr("kitui.tui.live.last_visit.time.time", lambda: before)
        LastVisit(workspace).write(sweeps)
    law(workspace, 71.0)
    lines = LastVisit(workspace).news(sweeps, runs)
    assert lines[0] == "Since you left, 1 h 0 min ago:"
    assert lines[1] == "demo: 1 run done, 1 run failed, F* at N=7k D=96k 52.0 → 71.0"
    LastVisit(workspace).write(sweeps)
    assert LastVisit(workspace).news(sweeps, runs) == ()


def test_a_home_that_cannot_be_used(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept there, so that nothing is told; the same steps in a usable one tell of the two runs."""
    before = time.time() - 3600

    def told() -> tuple[str, ...]:
        sweeps, runs = state(time.time())
        with monkeypatch.context() as past:
            past.setattr("kitui.tui.live.last_visit.time.time", lambda: before)
            LastVisit(workspace).write(sweeps)
        return LastVisit(workspace).news(sweeps, runs)

    with monkeypatch.context() as bad:
        bad.setenv("XDG_STATE_HOME", "/proc/nowhere")
        assert told() == ()
    assert told()[1] == "demo: 1 run done, 1 run failed"
