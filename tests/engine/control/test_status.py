"""How cells and sweeps are said to stand."""

from __future__ import annotations

import os
from typing import Any

import pytest

from engine.control.ledger.lock import Lock
from engine.control.onhost import guard
from engine.control.status import sweep_status, unseen_runs
from engine.records.processes import GuardRecord
from engine.records.record import plain
from engine.records.states import RunState, RunStatus, cell_status
from engine.records.status import StatusDocument, SupervisorStatus, status_json
from engine.records.workspace import Workspace, write_json
from tests.factory import make_host, make_run, make_summary, make_sweep


def done(evaluation_id: str = "e", **changes: Any) -> RunState:
    return make_run("r", "done", results={evaluation_id: make_summary(**changes)})


@pytest.mark.parametrize(
    ("of_sweep", "of_run", "expected"),
    [
        ({}, None, "queued"),
        ({}, make_run("r"), "queued"),
        ({"prepared": None}, make_run("r"), "preparing"),
        ({"active": False}, make_run("r"), "cancelled"),
        ({"active": False, "prepare_error": "no text"}, make_run("r"), "failed"),
        ({}, make_run("r", "running"), "running"),
        ({}, make_run("r", "failed"), "failed"),
        ({}, done(), "done"),
        ({}, done(status="diverged"), "diverged"),
        # Trained, but scored with another sweep's questions only.
        ({}, done("other"), "queued"),
        # Scored for this sweep already, whatever the run does for another now.
        ({}, make_run("r", "running", results={"e": make_summary()}), "done"),
    ],
)
def test_a_cell_stands_as_its_own_scores_say(of_sweep: Any, of_run: RunState | None, expected: str) -> None:
    assert cell_status(make_sweep("r", **of_sweep), of_run) == expected


def test_a_cell_whose_host_does_not_answer_is_said_to_be_that() -> None:
    run = make_run("r", "running", host="gpu1")
    assert cell_status(make_sweep("r"), run, frozenset({"gpu1"})) is RunStatus.UNREACHABLE
    row = sweep_status(make_sweep("r"), {"r": run}, hosts={"gpu1": make_host(unreachable_since_s=1.0)})
    assert (row.num(RunStatus.UNREACHABLE), row.num(RunStatus.RUNNING), row.num_open) == (1, 0, 1)


def test_runs_that_nothing_living_stands_behind_are_interrupted(workspace: Workspace) -> None:
    own = {"pid": os.getpid(), "start_ticks": guard.start_ticks(os.getpid()), "boot_id": guard.boot_id()}
    guards = {
        "alive": GuardRecord(attempt=1, **own),
        "gone": GuardRecord(attempt=1, **own | {"start_ticks": 1}),
        "of before the boot": GuardRecord(attempt=1, **own | {"boot_id": "another"}),
        "of the attempt before": GuardRecord(attempt=0, **own),
        "none": None,
        "away": None,
    }
    runs = {name: make_run(name, "running", host="gpu1" if name == "away" else "local") for name in guards}
    for name, owner in guards.items():
        workspace.run(name).root.mkdir()
        if owner is not None:
            write_json(workspace.run(name).guard, plain(owner))
    unseen = unseen_runs(workspace, runs)
    interrupted = dict.fromkeys(("gone", "of before the boot", "of the attempt before", "none"), RunStatus.INTERRUPTED)
    assert unseen == interrupted | {"away": RunStatus.UNREACHABLE}  # how it stands there, nobody has asked
    row = sweep_status(make_sweep(list(guards), eta_at_s=1e12), runs, unseen=unseen, left_alone="nobody carries it on")
    assert (row.num(RunStatus.INTERRUPTED), row.num(RunStatus.RUNNING), row.num_open) == (4, 1, 6)
    assert row.alerts[0].startswith("4 runs are interrupted, and nobody carries it on")
    assert row.eta_s is None
    with Lock(workspace):  # a supervisor would have noticed
        assert unseen_runs(workspace, runs) == {}


def test_every_cell_is_counted_once_and_trouble_is_told() -> None:
    runs = {
        "a": make_run("a", "done"),
        "b": make_run("b", "lost", reason="its guard is gone"),
        "c": make_run("c", reason="ended by SIGKILL"),
        "d": make_run("d", "done", results={"e": make_summary(exposures_as_planned=False)}),
    }
    row = sweep_status(make_sweep("abcde"), runs)
    assert sum(row.counts.values()) == row.cells == 5
    assert row.alerts == (
        "b lost: its guard is gone",
        "c waits to be started again: ended by SIGKILL",
        "d: realised exposures differ from the plan",
    )


def test_the_document_has_a_field_a_status_beside_the_others() -> None:
    row = sweep_status(make_sweep("ab"), {"a": make_run("a", "done")})
    document = StatusDocument(sweeps=(row,), supervisor=SupervisorStatus(alive=False, pid=None), hosts=())
    (content,) = status_json(document)["sweeps"]  # type: ignore[misc]
    assert {status.value: content[status.value] for status in RunStatus} == {
        **dict.fromkeys(RunStatus, 0), "done": 1, "queued": 1,
    }  # fmt: skip
    assert {"name", "simulated", "archived", "cells", "eta_s", "eta_spread_s", "alerts"} <= content.keys()
