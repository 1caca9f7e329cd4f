"""The gate: its order-restricted fits against another implementation, its level, and its power."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from scipy.stats import binom

from engine.analysis.gate import Array, DosePart, collapse_test, isotonic, unimodal_loss

NUM_QUESTIONS, NUM_CHOICES, RHO = 200, 4, 0.01

rows = st.integers(2, 9).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-1, 1), min_size=n, max_size=n), st.lists(st.floats(0.1, 10), min_size=n, max_size=n)
    )
)


@given(rows)
def test_isotonic_is_the_least_squares_fit(row: tuple[list[float], list[float]]) -> None:
    values, weights = map(np.array, row)
    assert isotonic(values[None], weights)[0] == pytest.approx(isotonic_regression(values, weights=weights).x, abs=1e-9)


@given(rows)
def test_unimodal_loss_is_that_of_the_best_rise_and_fall(row: tuple[list[float], list[float]]) -> None:
    values, weights = map(np.array, row)

    def loss(part: slice, increasing: bool) -> float:
        v, w = values[part], weights[part]
        if not len(v):
            return 0.0
        return float((w * (v - isotonic_regression(v, weights=w, increasing=increasing).x) ** 2).sum())

    splits = [loss(slice(0, k), True) + loss(slice(k, None), False) for k in range(len(values) + 1)]
    assert unimodal_loss(values[None], weights)[0] == pytest.approx(min(splits), abs=1e-9)


def dose_part(retentions: Array, num_questions: int = NUM_QUESTIONS) -> DosePart:
    ones = np.ones(len(retentions))
    return DosePart(retentions, num_questions * ones, NUM_CHOICES * ones, RHO, 0.0)


def doses(levels: Array, rng: np.random.Generator, num_seeds: int = 3) -> list[list[DosePart]]:
    chance = 1 / NUM_CHOICES
    size = (1 - RHO) / RHO
    drawn = []
    for level in levels:
        p = chance + (1 - chance) * level
        counts = rng.binomial(NUM_QUESTIONS, rng.beta(p * size, (1 - p) * size, size=num_seeds))
        retentions = (counts / NUM_QUESTIONS - chance) / (1 - chance)
        drawn.append([dose_part(retentions)])
    return drawn


def rejections(levels: list[float], num_draws: int) -> int:
    rng = np.random.default_rng(1)
    tests = (collapse_test(doses(np.array(levels), rng), dispersion=1.0, residual_df=16) for _ in range(num_draws))
    return sum(test.p_value < 0.05 for test in tests)


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param([0.6] * 8, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
        [0.05, 0.3, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8],
        [0.0, 0.1, 0.3, 0.5],
    ],
)
def test_no_collapse_is_refused_but_one_time_in_twenty(levels: list[float]) -> None:
    """More rejections than these would come by chance once in a thousand such tests."""
    assert rejections(levels, 300) <= binom.isf(1e-3, 300, 0.05)


def test_a_fall_by_a_third_is_found() -> None:
    assert rejections([0.1, 0.4, 0.8, 0.85, 0.85, 0.7, 0.57], 100) >= 95


def test_curves_that_never_fall_need_no_bootstrap() -> None:
    rising = [[dose_part(np.array([level, level]), 100)] for level in (0.1, 0.2, 0.5, 0.5, 0.9)]
    assert collapse_test(rising, dispersion=1.0, residual_df=5) == (1.0, 0.0)
