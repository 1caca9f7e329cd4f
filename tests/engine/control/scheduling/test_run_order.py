"""Which runs are to start next."""

from __future__ import annotations

import pytest

from engine.control.scheduling.run_order import runs_to_start
from engine.records.states import SweepState
from tests.factory import make_run, make_sweep


def order(sweeps: dict[str, SweepState], scored: str = "", away: str = "", **states: str) -> list[tuple[str, str]]:
    """`away`: sweeps that may go nowhere."""
    names = {r for s in sweeps.values() for r in s.run_ids}
    runs = {name: make_run(name, states.get(name, "queued")) for name in names}
    found = runs_to_start(
        sweeps, runs, lambda run_id, _: run_id in scored, lambda name, _: {} if name == away else {"h": 1.0}
    )
    return [(name, run_id) for name, run_id, _ in found]


def test_sweeps_in_the_order_of_their_launch_and_runs_in_that_of_the_grid() -> None:
    sweeps = {"later": make_sweep("xy", launched_s=2.0), "first": make_sweep("abc", launched_s=1.0)}
    assert order(sweeps) == [("first", "a"), ("first", "b"), ("first", "c"), ("later", "x"), ("later", "y")]


def test_a_higher_priority_comes_first_whenever_it_was_launched() -> None:
    sweeps = {
        "first": make_sweep("ab", launched_s=1.0),
        "urgent": make_sweep("xy", launched_s=2.0, priority=1),
        "whenever": make_sweep("m", launched_s=0.0, priority=-1),
    }
    assert [name for name, _ in order(sweeps)] == ["urgent", "urgent", "first", "first", "whenever"]


def test_each_sweep_keeps_to_its_slots() -> None:
    sweeps = {"narrow": make_sweep("abc", launched_s=1.0, slots=2), "wide": make_sweep("xyz", launched_s=2.0)}
    assert order(sweeps, a="running") == [("narrow", "b"), ("wide", "x"), ("wide", "y"), ("wide", "z")]


def test_a_run_of_two_sweeps_starts_once() -> None:
    assert order({"one": make_sweep("ab"), "two": make_sweep("bc", launched_s=1.0)}) == [
        ("one", "a"),
        ("one", "b"),
        ("two", "c"),
    ]


def test_what_ended_starts_again_only_to_be_scored_with_other_questions() -> None:
    states = {"a": "done", "b": "failed", "c": "cancelled", "d": "done"}
    assert order({"one": make_sweep("abcd")}, scored="a", **states) == [("one", "d")]


def test_sweeps_that_are_over_or_not_prepared_wait() -> None:
    assert order({"over": make_sweep("a", active=False), "raw": make_sweep("b", prepared=None)}) == []


def test_what_may_go_nowhere_takes_no_turn_from_others() -> None:
    sweeps = {"away": make_sweep("ab", slots=1), "here": make_sweep("ab", launched_s=1.0, slots=1)}
    assert order(sweeps, away="away") == [("here", "a")]


def test_a_large_sweep_that_may_go_nowhere_is_not_gone_through_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.control.scheduling.run_order._MOST_LOOKED_AT", 3)
    assert order({"away": make_sweep("abcdef"), "here": make_sweep("xy", launched_s=1.0)}, away="away") == [
        ("here", "x"),
        ("here", "y"),
    ]
