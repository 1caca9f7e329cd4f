"""Simulated sweeps have the truth they claim."""

from __future__ import annotations

import numpy as np
import pytest

from engine.analysis.simulate import simulate
from tests.engine.analysis.conftest import DOSES, curve, truth


def test_the_mean_curve_has_its_collapse_point_at_the_truth() -> None:
    grid = tuple(range(1, 129))
    made = curve(simulate(truth(frequencies=grid, num_seeds=40, num_questions=5_000, rho=0.0), 0))
    means = np.array([np.mean([o.retention for o in made.at(f)]) for f in grid])
    last = grid[int(np.flatnonzero(means >= 0.9 * means.max())[-1])]
    assert last == pytest.approx(40, abs=1.5)


def test_one_seed_of_the_generator_gives_one_sweep() -> None:
    assert simulate(truth(), 4) == simulate(truth(), 4)
    assert simulate(truth(), 4) != simulate(truth(), 5)
    assert len(simulate(truth(), 4)) == len(DOSES) * 3 * 2


def test_nothing_infused_is_infused_chance() -> None:
    none = [o.retention for o in simulate(truth(num_seeds=200), 0) if o.frequency == 0 and o.fact_set == "infused"]
    assert np.mean(none) == pytest.approx(0, abs=0.01)
