"""How runs go from one status to the next: what counts against a run, and when it is set aside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.control.ledger import transitions
from engine.control.ledger.ledger import Ledger
from engine.control.ledger.transitions import Left
from engine.records.metrics import CHECKPOINT, EventRecord, MetricsWriter, wrote_checkpoint
from engine.records.processes import last_lines
from engine.records.states import RunStatus
from engine.records.workspace import Workspace
from tests.factory import make_exit, make_sweep


@pytest.fixture
def ledger(workspace: Workspace) -> Iterator[Ledger]:
    made = Ledger(workspace)
    made.put_sweep(make_sweep(["run"], max_attempts=3))
    transitions.queue(made, "run")
    yield made
    made.close()


def die(ledger: Ledger, left: Left, reason: str = "") -> None:
    transitions.start(ledger, "run", host="local", slot="cpu:0", num_processes=1, evaluation_id="e")
    ending = make_exit(ledger.runs["run"].attempt, None, signal="SIGKILL", reason=reason)
    transitions.attempt_ended(ledger, "run", ending, None, lambda *_: None, left)


def test_a_run_that_dies_three_times_without_a_checkpoint_is_set_aside_with_the_end_of_its_log(ledger: Ledger) -> None:
    for _ in range(2):
        die(ledger, Left(log_end="step 3"))
        assert ledger.runs["run"].status is RunStatus.QUEUED
    die(ledger, Left(log_end="step 3 / out of memory"))
    run = ledger.runs["run"]
    assert run.status is RunStatus.FAILED
    assert "3 times without a checkpoint in between" in run.reason
    assert run.reason.endswith("its log ends: step 3 / out of memory")


def test_a_run_that_gets_further_each_time_is_never_set_aside(ledger: Ledger) -> None:
    for _ in range(10):
        die(ledger, Left(got_further=True))
        assert ledger.runs["run"].status is RunStatus.QUEUED
    for _ in range(2):
        die(ledger, Left())
        assert ledger.runs["run"].status is RunStatus.QUEUED
    die(ledger, Left())
    assert ledger.runs["run"].status is RunStatus.FAILED


def test_who_wants_no_second_try_gets_none(ledger: Ledger) -> None:
    ledger.change_sweep("sweep").max_attempts = 1
    die(ledger, Left(got_further=True))
    assert ledger.runs["run"].status is RunStatus.FAILED


def test_a_checkpoint_is_known_by_the_attempt_that_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert not wrote_checkpoint(path, 1)
    writer = MetricsWriter(path)
    writer.write(EventRecord(attempt=1, step=0, name="started"))
    writer.write(EventRecord(attempt=1, step=9, name=CHECKPOINT))
    writer.write(EventRecord(attempt=2, step=9, name="resumed"))
    writer.close()
    assert wrote_checkpoint(path, 1)
    assert not wrote_checkpoint(path, 2)


def test_how_a_log_ends(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none") == []
    (tmp_path / "log.txt").write_text("a\n" * 9000 + "\nb  \n\n c\nd\n\n")
    assert last_lines(tmp_path / "log.txt") == ["b", "c", "d"]
