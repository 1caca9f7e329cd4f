"""Which runs are to start next."""

from __future__ import annotations

from typing import Any

import pytest

from engine.control.scheduling.run_order import in_turn


def sweep(run_ids: str, launched_s: float = 0.0, **changes: Any) -> dict[str, Any]:
    made = {"active": True, "prepared": True, "slots": None, "evaluation_id": "e", "launched_s": launched_s}
    return made | {"run_ids": list(run_ids)} | changes


def turns(sweeps: dict[str, dict[str, Any]], scored: str = "", away: str = "", **states: str) -> list[tuple[str, str]]:
    """`away`: sweeps that may go nowhere."""
    names = {r for s in sweeps.values() for r in s["run_ids"]}
    runs = {name: {"state": states.get(name, "queued")} for name in names}
    found = in_turn(
        sweeps, runs, lambda run_id, _: run_id in scored, lambda name, _: {} if name == away else {"h": 1.0}
    )
    return [(name, run_id) for name, run_id, _ in found]


def test_sweeps_in_the_order_of_their_launch_and_runs_in_that_of_the_grid() -> None:
    sweeps = {"later": sweep("xy", 2.0), "first": sweep("abc", 1.0)}
    assert turns(sweeps) == [("first", "a"), ("first", "b"), ("first", "c"), ("later", "x"), ("later", "y")]


def test_a_higher_priority_comes_first_whenever_it_was_launched() -> None:
    sweeps = {
        "first": sweep("ab", 1.0),
        "urgent": sweep("xy", 2.0, priority=1),
        "whenever": sweep("m", 0.0, priority=-1),
    }
    assert [name for name, _ in turns(sweeps)] == ["urgent", "urgent", "first", "first", "whenever"]


def test_each_sweep_keeps_to_its_slots() -> None:
    sweeps = {"narrow": sweep("abc", 1.0, slots=2), "wide": sweep("xyz", 2.0)}
    assert turns(sweeps, a="running") == [("narrow", "b"), ("wide", "x"), ("wide", "y"), ("wide", "z")]


def test_a_run_of_two_sweeps_starts_once() -> None:
    assert turns({"one": sweep("ab"), "two": sweep("bc", 1.0)}) == [("one", "a"), ("one", "b"), ("two", "c")]


def test_what_ended_starts_again_only_to_be_scored_with_other_questions() -> None:
    states = {"a": "done", "b": "failed", "c": "cancelled", "d": "done"}
    assert turns({"one": sweep("abcd")}, scored="a", **states) == [("one", "d")]


def test_sweeps_that_are_over_or_not_prepared_wait() -> None:
    assert turns({"over": sweep("a", active=False), "raw": sweep("b", prepared=None)}) == []


def test_what_may_go_nowhere_takes_no_turn_from_others() -> None:
    sweeps = {"away": sweep("ab", slots=1), "here": sweep("ab", 1.0, slots=1)}
    assert turns(sweeps, away="away") == [("here", "a")]


def test_a_large_sweep_that_may_go_nowhere_is_not_gone_through_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.control.scheduling.run_order._MOST_LOOKED_AT", 3)
    assert turns({"away": sweep("abcdef"), "here": sweep("xy", 1.0)}, away="away") == [("here", "x"), ("here", "y")]
