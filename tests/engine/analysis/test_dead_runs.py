"""Runs that learned nothing are named, and count as nothing; who falls early or rises late is alive."""

from __future__ import annotations

import numpy as np
import pytest

from engine.analysis.curves import Observation, gather, observation_of_counts, run_key
from engine.analysis.dead_runs import scatter_of
from engine.analysis.simulate import simulate
from tests.engine.analysis.conftest import collapses, points, truth


def killed(observations: list[Observation], runs: set[tuple[float, int]]) -> list[Observation]:
    """The same, but these runs answer by chance in every set."""
    rng = np.random.default_rng(0)
    changed = []
    for o in observations:
        if (o.frequency, o.seed) in runs:
            assert o.num_questions
            correct = int(rng.binomial(o.num_questions, 0.25))
            o = observation_of_counts(o.condition, int(o.frequency), o.seed, o.fact_set, correct, o.num_questions, 4)
        changed.append(o)
    return changed


def unnamed(observations: list[Observation]) -> list[Observation]:
    return [o._replace(fact_set="") for o in observations if o.fact_set == "prior"]


@pytest.mark.parametrize("is_named", [True, False])
def test_they_are_named_and_change_nothing(is_named: bool) -> None:
    alive = simulate(truth(collapse=None), 3)
    alive = alive if is_named else unnamed(alive)
    dead = killed(alive, {(128, 1), (32, 0)})
    (without,), (with_dead,) = points(alive), points(dead)
    assert without.dead_runs == ()
    assert with_dead.dead_runs == ("F=32 seed=0", "F=128 seed=1")
    assert with_dead.status == without.status == "right_censored"
    a, b = scatter_of(gather(alive)), scatter_of(gather(dead))
    assert b.rho == pytest.approx(a.rho, rel=0.5, abs=1e-4)


def test_a_collapse_is_no_death() -> None:
    """At the edge of the fall some seeds have fallen and others not; beyond it all have."""
    for seed in range(5):
        found = collapses(unnamed(simulate(truth(seed_shift_octaves=0.4, fall_octaves=0.05), seed)))
        assert [c.point.dead_runs for c in found] == [()]


def test_few_false_collapses_with_dead_runs() -> None:
    """40 sizes that never collapse, one run in twenty dead."""
    rng = np.random.default_rng(0)
    alive = simulate(truth(collapse=None, sizes=tuple(range(1_000, 41_000, 1_000))), 0)
    runs = sorted({(o.condition.num_params, o.frequency, o.seed) for o in alive if o.frequency})
    chosen = {run for run in runs if rng.random() < 0.05}
    dead = [
        killed([o], {(o.frequency, o.seed)})[0] if (o.condition.num_params, *run_key(o)[1:]) in chosen else o
        for o in alive
    ]
    found = points(unnamed(dead))
    assert sum(point.status == "observed" for point in found) <= 6  # more: once in a hundred, were it 6 %
    named = {(p.condition.num_params, name) for p in found for name in p.dead_runs}
    expected = {(n, f"F={f} seed={s}") for n, f, s in chosen}
    assert len(named & expected) >= 0.8 * len(expected)
    assert len(named - expected) <= 0.1 * len(expected)
