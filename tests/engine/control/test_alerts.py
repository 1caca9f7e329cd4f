"""What wants a person's eye while runs go on."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from engine.control.alerts import disk_alert, run_alerts
from engine.records.metrics import MetricsWriter, StepRecord
from engine.records.workspace import Workspace
from tests.factory import make_run


def alert(
    workspace: Workspace,
    ages_s: Sequence[float],
    *,
    losses: Sequence[float | None] = (),
    rates: Sequence[float] = (),
) -> str | None:
    """What is said of a run whose records are this many seconds old."""
    folder = workspace.run("run")
    folder.root.mkdir(exist_ok=True)
    folder.metrics.unlink(missing_ok=True)
    writer = MetricsWriter(folder.metrics)
    now = time.time()
    for i, age in enumerate(ages_s):
        writer.write(
            StepRecord(
                attempt=1, step=i, num_tokens=i, loss=losses[i] if losses else 1.0, learning_rate=0.1,
                gradient_norm=1.0, tokens_per_s=rates[i] if rates else 100.0, time_s=now - age,
            )
        )  # fmt: skip
    writer.close()
    started = now - max(ages_s, default=0.0)
    return run_alerts(workspace, {"run": make_run("run", "running", started_s=started)}).get("run")


def test_a_run_that_goes_on_is_not_spoken_of(workspace: Workspace) -> None:
    assert alert(workspace, [10, 5, 1]) is None
    assert alert(workspace, []) is None  # just started


def test_a_stall_is_measured_by_the_runs_own_pace(workspace: Workspace) -> None:
    before = time.time() - 300
    words = alert(workspace, [302, 301, 300])
    assert words in [f"no progress since {time.strftime('%F %H:%M', time.localtime(before + s))}" for s in (0, 1)]
    assert alert(workspace, [900, 600, 300]) is None  # a record each five minutes is its pace


def test_a_loss_that_is_not_finite(workspace: Workspace) -> None:
    assert alert(workspace, [2, 1], losses=[1.0, None]) == "loss not finite at step 1"


def test_a_slow_down(workspace: Workspace) -> None:
    ages, rates = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [1000.0] * 5 + [400.0]
    assert alert(workspace, ages, rates=rates) == "slowed down: 400 tokens/s, usually 1,000"
    assert alert(workspace, ages, rates=[1000.0] * 6) is None


def test_what_does_not_run_is_not_looked_at(workspace: Workspace) -> None:
    assert run_alerts(workspace, {"gone": make_run("gone"), "done": make_run("done", "done")}) == {}


def test_a_disk_that_fills(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.control.alerts.MIN_FREE_BYTES", 0)
    assert disk_alert(workspace) is None
    monkeypatch.setattr("engine.control.alerts.MIN_FREE_BYTES", 1e30)
    words = disk_alert(workspace)
    assert words is not None
    assert "GB free" in words
