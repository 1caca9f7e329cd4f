"""Metrics followed into curves."""

from __future__ import annotations

from pathlib import Path

from engine.records.metrics import EventRecord, MetricsWriter, RetentionRecord, StepRecord
from kitui.services.learning_curve import CurveTail
from tests.kitui.conftest import score


def step(number: int, loss: float | None = 1.0, attempt: int = 1) -> StepRecord:
    return StepRecord(
        attempt=attempt, step=number, num_tokens=100 * number, loss=loss, learning_rate=0.1, gradient_norm=1.0,
        tokens_per_s=50.0, time_s=0.0,
    )  # fmt: skip


def scored(number: int, *, attempt: int = 1, **levels: float) -> RetentionRecord:
    return RetentionRecord(
        attempt=attempt, step=number, num_tokens=100 * number, evaluation_id="e", background_loss=None, exposures={},
        sets={name: score(level) for name, level in levels.items()}, time_s=0.0,
    )  # fmt: skip


def test_a_curve_grows_and_is_the_same_object_while_nothing_is_new(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path / "metrics.jsonl")
    tail = CurveTail(tmp_path / "metrics.jsonl")
    assert list(tail.read().tokens) == []
    writer.write(step(1))
    writer.write(scored(1, prior=1.0, infused=0.0))
    first = tail.read()
    assert tail.read() is first
    assert (list(first.tokens), first.num_tokens, first.last("overall")) == ([100.0], 100, 0.5)
    writer.write(step(2, None))
    second = tail.read()
    assert list(first.loss) == [1.0]  # what was handed out does not change
    assert second.loss[1] != second.loss[1]  # a gap
    assert second.last_loss is None


def test_a_resumed_run_replaces_what_it_does_again(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path / "metrics.jsonl")
    tail = CurveTail(tmp_path / "metrics.jsonl")
    for number in (1, 2, 3):
        writer.write(step(number, float(number)))
        writer.write(scored(number, prior=0.25 * number, infused=0.0))
    assert list(tail.read().loss) == [1.0, 2.0, 3.0]
    writer.write(EventRecord(attempt=2, step=1, name="resumed", time_s=0.0))
    writer.write(step(2, 20.0, attempt=2))
    writer.write(scored(2, attempt=2, prior=1.0, infused=0.0))
    curve = tail.read()
    assert list(curve.loss) == [1.0, 20.0]
    assert list(curve.tokens) == [100.0, 200.0]
    assert curve.last("prior") == 1.0
    assert any("resumed" in line for line in curve.log)


def test_a_set_that_comes_later_begins_with_gaps(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path / "metrics.jsonl")
    writer.write(scored(1, infused=0.5))
    writer.write(scored(2, infused=0.5, prior=0.5))
    curve = CurveTail(tmp_path / "metrics.jsonl").read()
    assert curve.retention["prior"][0] != curve.retention["prior"][0]
    assert len(curve.retention["prior"]) == len(curve.tokens) == 2
