"""Since you left."""

from __future__ import annotations

import time
from typing import Any

import pytest

from engine.records.workspace import Workspace, write_json
from kitui.tui.live.last_visit import Seen


def law(workspace: Workspace, frequency: float | None) -> None:
    folder = workspace.sweep("demo")
    folder.root.mkdir(exist_ok=True)
    point = {"condition": {"num_params": 7000, "num_tokens": 96_000, "templates": 1}, "frequency": frequency}
    write_json(folder.law, {"law": {"collapse_points": [point]}})


def state(ended_s: float) -> tuple[dict[str, Any], dict[str, Any]]:
    sweeps = {"demo": {"run_ids": ["a", "b", "c"], "evaluation_id": "e", "active": True, "prepared": True,
                       "prepare_error": None, "ended_s": None}}  # fmt: skip
    runs = {
        name: {"state": s, "results": {"e": {"status": "done"}} if s == "done" else {}, "ended_s": ended_s}
        for name, s in (("a", "done"), ("b", "failed"))
    }
    return sweeps, runs


def test_what_ended_failed_and_moved_is_told_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    law(workspace, 52.0)
    sweeps, runs = state(time.time() - 10)
    assert Seen(workspace).digest(sweeps, runs) == ()  # a first visit: nothing was left
    before = time.time() - 3600
    with monkeypatch.context() as past:
        past.setattr("kitui.tui.live.last_visit.time.time", lambda: before)
        Seen(workspace).write(sweeps)
    law(workspace, 71.0)
    lines = Seen(workspace).digest(sweeps, runs)
    assert lines[0] == "Since you left, 1 h 0 min ago:"
    assert lines[1] == "demo: 1 run done, 1 run failed, F* at N=7k D=96k 52.0 → 71.0"
    Seen(workspace).write(sweeps)
    assert Seen(workspace).digest(sweeps, runs) == ()


def test_a_home_that_cannot_be_used(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    sweeps, runs = state(time.time())
    seen = Seen(workspace)
    seen.write(sweeps)
    assert seen.digest(sweeps, runs) == ()
