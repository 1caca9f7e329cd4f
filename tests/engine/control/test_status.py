"""How cells and sweeps are said to stand."""

from __future__ import annotations

from typing import Any

import pytest

from engine.control.status import STATES, cell_state, sweep_status


def scored(status: str = "done", *, as_planned: bool = True) -> dict[str, Any]:
    return {"status": status, "exposures_as_planned": as_planned}


def sweep(**changes: Any) -> dict[str, Any]:
    made = {"evaluation_id": "e", "active": True, "prepared": True, "prepare_error": None, "run_ids": ["r"]}
    return made | changes


def run(state: str, **changes: Any) -> dict[str, Any]:
    return {"state": state, "results": {}, "reason": ""} | changes


@pytest.mark.parametrize(
    ("of_sweep", "of_run", "expected"),
    [
        ({}, None, "queued"),
        ({}, run("queued"), "queued"),
        ({"prepared": None}, run("queued"), "preparing"),
        ({"active": False}, run("queued"), "cancelled"),
        ({"active": False, "prepare_error": "no text"}, run("queued"), "failed"),
        ({}, run("running"), "running"),
        ({}, run("failed"), "failed"),
        ({}, run("done", results={"e": scored()}), "done"),
        ({}, run("done", results={"e": scored("diverged")}), "diverged"),
        # Trained, but scored with another sweep's questions only.
        ({}, run("done", results={"other": scored()}), "queued"),
        # Scored for this sweep already, whatever the run does for another now.
        ({}, run("running", results={"e": scored()}), "done"),
    ],
)
def test_a_cell_stands_as_its_own_scores_say(of_sweep: Any, of_run: Any, expected: str) -> None:
    assert cell_state(sweep(**of_sweep), of_run) == expected


def test_every_cell_is_counted_once_and_trouble_is_told() -> None:
    runs = {
        "a": run("done", results={"e": scored()}),
        "b": run("lost", reason="its guard is gone"),
        "c": run("queued", reason="ended by SIGKILL"),
        "d": run("done", results={"e": scored(as_planned=False)}),
    }
    row = sweep_status("s", sweep(run_ids=[*"abcde"]), runs)
    assert sum(row[state] for state in STATES) == row["cells"] == 5
    assert row["alerts"] == [
        "b lost: its guard is gone",
        "c waits to be started again: ended by SIGKILL",
        "d: realised exposures differ from the plan",
    ]
