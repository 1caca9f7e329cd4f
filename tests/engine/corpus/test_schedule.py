from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.corpus.schedule import Placed, Schedule, ceiling, fits, least_rows


@st.composite
def streams(draw: st.DrawFn) -> tuple[np.ndarray, int, int, int]:
    """Lengths by fact and template, passes, rows and row length: anything that packs."""
    num_facts, num_templates = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    lengths = np.array(
        draw(st.lists(st.integers(1, 9), min_size=num_facts * num_templates, max_size=num_facts * num_templates))
    )
    lengths = lengths.reshape(num_facts, num_templates)
    row_length = draw(st.integers(9, 40))
    num_rows = draw(st.integers(1, 120))
    top = ceiling(lengths, num_rows, row_length)
    assume(top > 0)
    num_passes = draw(st.integers(1, min(top, 60)))
    assume(fits(lengths, num_passes, num_rows, row_length))
    return lengths, num_passes, num_rows, row_length


def everything(schedule: Schedule) -> list[list[Placed]]:
    return [schedule.row(row) for row in range(schedule.num_rows)]


@given(streams(), st.integers(0, 5))
def test_each_fact_is_written_exactly_as_often_as_asked(stream: tuple[np.ndarray, int, int, int], seed: int) -> None:
    lengths, num_passes, num_rows, row_length = stream
    rows = everything(Schedule(lengths, num_passes, num_rows, row_length, seed=seed, label="x"))
    counts = Counter(p.fact for row in rows for p in row)
    assert counts == dict.fromkeys(range(len(lengths)), num_passes)


@given(streams(), st.booleans())
def test_templates_take_turns(stream: tuple[np.ndarray, int, int, int], dense: bool) -> None:
    lengths, num_passes, num_rows, row_length = stream
    schedule = Schedule(lengths, num_passes, num_rows, row_length, seed=0, label="x", dense=dense)
    by_template = Counter((p.fact, p.template) for row in everything(schedule) for p in row)
    for fact in range(len(lengths)):
        counts = [by_template[fact, t] for t in range(lengths.shape[1])]
        assert max(counts) - min(counts) <= 1
    total = sum(p.length for row in everything(schedule) for p in row)
    assert schedule.total_length() == total


@given(streams(), st.booleans())
def test_nothing_is_cut_and_nothing_overlaps(stream: tuple[np.ndarray, int, int, int], dense: bool) -> None:
    lengths, num_passes, num_rows, row_length = stream
    for row in everything(Schedule(lengths, num_passes, num_rows, row_length, seed=1, label="x", dense=dense)):
        end = 0
        for placed in row:
            assert placed.length == lengths[placed.fact, placed.template]
            assert placed.offset == end if dense else placed.offset >= end
            end = placed.offset + placed.length
        assert end <= row_length


@given(streams(), st.randoms())
def test_any_row_can_be_had_without_those_before_it(stream: tuple[np.ndarray, int, int, int], random: object) -> None:
    lengths, num_passes, num_rows, row_length = stream
    in_order = everything(Schedule(lengths, num_passes, num_rows, row_length, seed=2, label="x"))
    rows = list(range(num_rows))
    random.shuffle(rows)  # type: ignore[attr-defined]
    other = Schedule(lengths, num_passes, num_rows, row_length, seed=2, label="x")
    assert {row: other.row(row) for row in rows} == dict(enumerate(in_order))


@given(streams())
def test_exposures_are_spread_over_the_whole_stream(stream: tuple[np.ndarray, int, int, int]) -> None:
    """Pass p of all facts lies in the p-th share of the rows (a few passes together where facts are few)."""
    lengths, num_passes, num_rows, row_length = stream
    schedule = Schedule(lengths, num_passes, num_rows, row_length, seed=0, label="x")
    where: dict[int, list[int]] = {}
    for index, row in enumerate(everything(schedule)):
        for placed in row:
            where.setdefault(placed.fact, []).append(index)
    together = -(-64 // len(lengths))
    for rows in where.values():
        for number, row in enumerate(rows):
            first = number // together * together
            last = min(first + together, num_passes)
            assert num_rows * first // num_passes <= row < num_rows * last // num_passes


def test_a_dose_above_the_ceiling_does_not_pack_and_the_ceiling_does() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.choice([5, 6, 7, 8], size=(320, 1), p=[0.3, 0.4, 0.2, 0.1])
    top = ceiling(lengths, 9375, 32)
    assert fits(lengths, top, 9375, 32)
    assert not fits(lengths, top + 1, 9375, 32)
    # What packing allows is near what the tokens would allow, and never above it.
    assert 0.95 * 9375 * 32 / lengths.sum() < top <= 9375 * 32 / lengths.sum()


def test_a_huge_stream_costs_nothing_until_it_is_read() -> None:
    lengths = np.full((2000, 1), 20)
    num_rows = 100_000_000_000 // 2048
    schedule = Schedule(lengths, 512, num_rows, 2048, seed=0, label="x")
    row = schedule.row(num_rows // 2 + 17)
    assert all(p.length == 20 for p in row)
    assert ceiling(lengths, num_rows, 2048) > 100_000


@given(streams())
def test_least_rows_hold_it_and_one_less_does_not(stream: tuple[np.ndarray, int, int, int]) -> None:
    lengths, num_passes, _, row_length = stream
    rows = least_rows(lengths, num_passes, row_length)
    assert fits(lengths, num_passes, rows, row_length)
    assert not fits(lengths, num_passes, rows - 1, row_length) or rows == 0


def test_a_fact_longer_than_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than a row"):
        least_rows(np.array([[40]]), 3, 32)
