"""The list of sweeps: bars in parts, columns for the room, words and orders."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.states import RunStatus, no_counts
from engine.records.status import SweepStatus
from kitui.services.sweep_list import BAR_SIGNS, SORTS, progress_bar, sweep_columns, sweep_list


def sweep(name: str = "laptop", launched_s: float | None = None, **numbers: int) -> SweepStatus:
    counts = no_counts() | {RunStatus(status): number for status, number in numbers.items()}
    return SweepStatus(name=name, cells=sum(numbers.values()), counts=counts, launched_s=launched_s)


def test_a_cancelled_sweep_is_no_full_one() -> None:
    assert progress_bar(sweep(cancelled=12), 10) == "!" * 10
    assert progress_bar(sweep(done=6, cancelled=6), 10) == "█" * 5 + "!" * 5
    assert progress_bar(sweep(done=3, running=3, paused=3, queued=1, failed=2), 12) == "███▒▒▒····!!"
    assert progress_bar(sweep(), 10) == ""


@given(st.lists(st.integers(0, 10_000), min_size=4, max_size=4), st.integers(4, 40))
def test_a_bar_has_a_sign_for_all_that_there_is(numbers: list[int], width: int) -> None:
    done, running, queued, failed = numbers
    bar = progress_bar(sweep(done=done, running=running, queued=queued, failed=failed), width)
    assert len(bar) == (width if sum(numbers) else 0)
    assert [sign in bar for sign in BAR_SIGNS] == [number > 0 for number in numbers]
    assert list(bar) == sorted(bar, key=BAR_SIGNS.index)


def texts(row: SweepStatus, room: int, among: list[SweepStatus] | None = None) -> dict[str, str]:
    columns = sweep_columns(among or [row], room)
    assert sum(column.width + 1 for column in columns) <= room + 1
    return {column.key: column.text(row)[: column.width] for column in columns}


def test_paused_and_cancelled_runs_are_counted_where_there_are_any() -> None:
    assert texts(sweep(done=2, paused=3, cancelled=4), 100)["paused"] == "3"
    assert texts(sweep(done=2, paused=3, cancelled=4), 100)["cancelled"] == "4"
    assert not {"paused", "cancelled"} & texts(sweep(done=2), 100).keys()
    assert texts(sweep(done=2, paused=3), 100)["eta"] == "paused"


@pytest.mark.parametrize(("room", "whole"), [(77, False), (117, True), (197, True)])
def test_names_are_whole_where_there_is_room(room: int, whole: bool) -> None:
    long = sweep("a-name-of-some-forty-letters-that-says-it", time.time() - 1e6, done=1, running=1)
    found = texts(long, room)
    assert (found["name"] == long.name) is whole
    assert ("launched" in found) is (room > 100)


@given(st.lists(st.text("ab", min_size=1, max_size=30), min_size=1, max_size=5), st.integers(77, 220))
def test_no_line_is_longer_than_its_room(names: list[str], room: int) -> None:
    rows = [sweep(name, time.time(), done=1, paused=1, cancelled=1, failed=1) for name in names]
    columns = sweep_columns(rows, room)
    assert sum(column.width + 1 for column in columns) <= room + 1
    for row in rows:
        texts(row, room, rows)


def test_the_date_is_a_day_or_the_time_of_today() -> None:
    assert texts(sweep(launched_s=0.0, done=1), 117)["launched"].startswith("19")
    assert ":" in texts(sweep(launched_s=time.time() - 60, done=1), 117)["launched"]


def test_words_and_orders() -> None:
    rows = [
        sweep("b-first", 10.0, done=1, failed=1),
        sweep("a-second", 20.0, done=2),
        SweepStatus(name="c", archived=True, cells=0, counts=no_counts()),
    ]
    assert [row.name for row in sweep_list(rows)] == ["a-second", "b-first"]
    assert [row.name for row in sweep_list(rows, words="FIRST b")] == ["b-first"]
    assert [row.name for row in sweep_list(rows, words="archived", with_archived=True)] == ["c"]
    assert [row.name for row in sweep_list(rows, sort="launched")] == ["a-second", "b-first"]
    assert [row.name for row in sweep_list(rows, sort="failed")] == ["b-first", "a-second"]
    for sort in SORTS:
        assert len(sweep_list(rows, sort=sort, with_archived=True)) == 3
