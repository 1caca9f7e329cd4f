"""Workspaces for the screens: simulated results, and a staged sweep in the middle of its training."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from engine.analysis.fit import run_once
from engine.control.ledger.ledger import Ledger
from engine.control.ledger.lock import Lock
from engine.corpus.prepare import plan
from engine.records.analysis import LawDocument
from engine.records.metrics import EventRecord, MetricsWriter, RetentionRecord, SetScore, StepRecord
from engine.records.record import encoded, read_record
from engine.records.workspace import Workspace, write_atomically
from kitui.services.simulating import simulate_sweep
from tests.conftest import SAMPLES
from tests.factory import make_run, make_summary, make_sweep

TIME_S = 1_700_000_000.0
# The last digits of a fit are a machine's own, and a picture shows some of them: pictures are of this fit.
LAW = Path(__file__).parent / "simulated_law.json"


def make_simulated(workspace: Workspace) -> None:
    """Four sizes, ten doses, three seeds, with a law."""
    workspace.create()
    simulate_sweep(
        workspace, "simulated", law_text="30 * (N / 30k) ^ 0.5", sizes="7k,15k,30k,60k",
        frequencies="0,1,2,4,8,16,32,64,96,128", num_seeds=3, num_questions=320, seed=0, replace=False,
    )  # fmt: skip
    folder = workspace.sweep("simulated")
    os.utime(folder.plan, (TIME_S, TIME_S))  # its date is on the screen
    document = run_once(folder, workspace, "overall", None)
    if not LAW.exists():  # deleted, to have it made anew
        write_atomically(LAW, encoded(document.law))
    law = read_record(LawDocument, LAW)
    assert law is not None
    write_atomically(folder.law, encoded(msgspec.structs.replace(document, law=law)))


def make_staged(workspace: Workspace) -> None:
    """smoke.toml as it stands half-way: four runs done, two running, one failed, the rest queued. Written by hand."""
    workspace.create()
    bundle = plan(SAMPLES / "smoke.toml", workspace)
    folder = workspace.sweep("smoke")
    folder.root.mkdir(parents=True)
    write_atomically(folder.bundle, encoded(bundle))
    write_atomically(folder.plan, encoded(bundle.plan))
    ledger = Ledger(workspace)
    evaluation_id = bundle.plan.evaluation_id
    run_ids = [run.run_id for run in bundle.runs]
    ledger.put_sweep(make_sweep(run_ids, "smoke", evaluation_id=evaluation_id, slots=2, launched_s=TIME_S))
    for i, run_id in enumerate(run_ids):
        status = "done" if i < 4 else "running" if i < 6 else "failed" if i == 6 else "queued"
        levels = {"prior": 0.9 - 0.1 * i, "infused": 0.2 * i, "verbatim": 0.1 * i, "unseen": 0.0}
        overall = (levels["prior"] + levels["infused"]) / 2
        done = make_summary(retention=levels, overall=overall, exposures_as_planned=True)
        ledger.put_run(
            make_run(
                run_id, status, attempt=1, slot=None, started_s=None,
                reason="CUDA out of memory" if status == "failed" else "",
                results={evaluation_id: done} if status == "done" else {},
            )
        )  # fmt: skip
        if status in ("done", "running"):
            stage_metrics(workspace, run_id, evaluation_id, levels, num_scores=4 if status == "done" else 2)
    ledger.close()
    run_once(folder, workspace, "overall", None)  # as comparing it would: no test finds another picture than the next


def stage_metrics(
    workspace: Workspace, run_id: str, evaluation_id: str, levels: dict[str, float], num_scores: int
) -> None:
    folder = workspace.run(run_id)
    folder.root.mkdir(parents=True)
    writer = MetricsWriter(folder.metrics)
    writer.write(EventRecord(attempt=1, step=0, name="started", text="79 steps, 20000 tokens", time_s=TIME_S))
    for i in range(1, num_scores + 1):
        sets = {name: score(level * i / 4) for name, level in levels.items()}
        writer.write(
            StepRecord(
                attempt=1, step=20 * i, num_tokens=5_120 * i, loss=6.0 - 0.5 * i, learning_rate=0.01, gradient_norm=1.0,
                tokens_per_s=9_000.0, time_s=TIME_S + i,
            )
        )  # fmt: skip
        writer.write(
            RetentionRecord(
                attempt=1, step=20 * i, num_tokens=5_120 * i, evaluation_id=evaluation_id, sets=sets,
                background_loss=5.0, exposures={}, time_s=TIME_S + i,
            )
        )  # fmt: skip
    writer.close()


def score(retention: float) -> SetScore:
    correct = round(48 * (0.25 + 0.75 * retention))
    return SetScore(num_questions=48, num_choices=4, correct=correct, correct_norm=correct, mean_logprob=-1.0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own: what was last seen, and the configuration."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return tmp_path


@contextmanager
def held_workspace(root: Path) -> Iterator[Workspace]:
    """A workspace with both sweeps. This process holds it, as a supervisor would: what is commanded waits."""
    workspace = Workspace(root)
    make_simulated(workspace)
    make_staged(workspace)
    with Lock(workspace):
        yield workspace


@pytest.fixture(scope="session")
def screens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with held_workspace(tmp_path_factory.mktemp("screens")) as workspace:
        yield workspace
