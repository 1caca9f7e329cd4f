from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.metrics import (
    EventRecord,
    MetricsTail,
    MetricsWriter,
    SetScore,
    StepRecord,
    overall_retention,
    read_metrics,
    retention_of,
)
from engine.records.record import encoded


def step(number: int, attempt: int = 1, loss: float | None = 1.0) -> StepRecord:
    return StepRecord(
        attempt=attempt,
        step=number,
        num_tokens=number * 10,
        loss=loss,
        learning_rate=0.1,
        gradient_norm=1.0,
        tokens_per_s=5.0,
    )


def score(correct: int) -> SetScore:
    return SetScore(num_questions=100, num_choices=4, correct=correct, correct_norm=correct, mean_logprob=-1.0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path / "metrics.jsonl")
    records = [EventRecord(attempt=1, step=0, name="started"), step(1), step(2, loss=None)]
    for record in records:
        writer.write(record)
    assert read_metrics(tmp_path / "metrics.jsonl") == records  # each line is flushed at once


def test_a_resumed_run_ends_the_torn_line_and_its_steps_win(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = MetricsWriter(path)
    for number in (1, 2, 3):
        first.write(step(number, loss=float(number)))
    first.close()
    with path.open("ab") as handle:
        handle.write(b'{"kind":"step","att')  # killed in the middle of a line
    second = MetricsWriter(path)
    for number in (3, 4):
        second.write(step(number, attempt=2, loss=30.0))
    records = read_metrics(path)
    assert [(r.step, r.attempt) for r in records] == [(1, 1), (2, 1), (3, 2), (4, 2)]


@given(st.lists(st.integers(1, 200), max_size=12))
def test_tailing_in_any_pieces_gives_each_line_once(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    path = tmp_path_factory.mktemp("tail") / "metrics.jsonl"
    lines = b"".join(encoded(step(n)) + b"\n" for n in range(20))
    tail, seen, place = MetricsTail(path), [], 0
    assert tail.read_new() == []
    for cut in cuts:
        with path.open("ab") as handle:
            handle.write(lines[place : place + cut])
        place += cut
        seen += tail.read_new()
    with path.open("ab") as handle:
        handle.write(lines[place:])
    seen += tail.read_new()
    assert [r.step for r in seen] == list(range(20))
    assert tail.num_unreadable == 0


def test_a_line_that_is_no_record_is_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kind":"step"}\nnonsense\n' + encoded(step(5)) + b"\n")
    tail = MetricsTail(path)
    assert [r.step for r in tail.read_new()] == [5]
    assert tail.num_unreadable == 2


def test_retention_is_zero_at_chance_and_one_at_perfection() -> None:
    assert retention_of(0.25, 4) == 0
    assert retention_of(1.0, 4) == 1
    assert retention_of(0.0, 4) == pytest.approx(-1 / 3)
    assert score(25).retention == 0


def test_overall_is_the_plain_mean_whatever_the_numbers_of_questions() -> None:
    small = SetScore(num_questions=4, num_choices=4, correct=4, correct_norm=4, mean_logprob=0.0)
    assert overall_retention({"prior": score(25), "infused": small}) == pytest.approx(0.5)
    assert overall_retention({"infused": small}) == 1.0
    assert overall_retention({"prior": small}) is None
