"""Profiles of collapse points: what no dose can tell stays open, and what several families say counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from engine.analysis.fitting import fit
from engine.analysis.likelihood import Array, Part, tabulate
from engine.analysis.profiles import Crossing, Reading, acquisition_readings, collapse_readings
from engine.analysis.shapes import SHAPES

DOSES = np.arange(2.0, 10.0)
NUM_QUESTIONS, RHO = 300, 0.01
THRESHOLD = 2.1

Curve = Callable[[Array], Array]


def part(level: Curve, rng: np.random.Generator, num_questions: int = NUM_QUESTIONS, num_seeds: int = 3) -> Part:
    x = np.repeat(DOSES, num_seeds)
    p = 0.25 + 0.75 * level(x)
    size = (1 - RHO) / RHO
    correct = rng.binomial(num_questions, rng.beta(p * size, (1 - p) * size)).astype(float)
    ones = np.ones(len(x))
    return Part(x, correct, num_questions * ones, 4 * ones, ones, RHO, 0.05)


def readings(parts: list[Part], share: float = 0.9) -> list[Reading]:
    curves = [[one] for one in parts]
    tables = tabulate(curves, [DOSES] * len(parts))
    fits = [fit(tables, curves, shape) for shape in SHAPES]
    ones = np.ones(len(parts))
    (found,) = collapse_readings(tables, fits, [share], ones, THRESHOLD * ones)
    return found


def crossing(level: Curve) -> float:
    """log2 F*, by looking closely."""
    fine = np.linspace(DOSES[0], DOSES[-1], 70_001)
    return float(fine[np.flatnonzero(level(fine) >= 0.9 * level(DOSES).max())[-1]])


def rise(x: Array) -> Array:
    return np.asarray(0.1 + 0.9 * expit((x - 3) / 0.5))


def logistic(place: float) -> Curve:
    return lambda x: 0.95 * rise(x) * (1 - 0.93 * expit((x - place) / 0.25))


def tent_in_logit(place: float) -> Curve:
    return lambda x: expit(3.0 - 1.2 * np.maximum(place - x, 0) - 1.5 * np.maximum(x - place, 0))


def trapezoid(place: float) -> Curve:
    return lambda x: np.interp(x, [1, 3.2, place, place + 1.8, 12], [0.1, 0.9, 0.9, 0.15, 0.15])


def cliff(place: float) -> Curve:
    return lambda x: np.where(x <= place, 0.9 * rise(x), 0.2)


def flat_cliff(place: float) -> Curve:
    return lambda x: np.where(x <= place, 0.9, 0.2)


TRUTHS = {"logistic": logistic, "tent in logit": tent_in_logit, "trapezoid": trapezoid, "cliff": cliff,
          "flat from the first dose, then a cliff": flat_cliff}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("truth", TRUTHS)
def test_intervals_hold_the_truth_of_every_family(truth: str) -> None:
    """Fewer than these would come by chance once in a thousand such tests, were the coverage 93 %."""
    rng = np.random.default_rng(0)
    curves = [TRUTHS[truth](float(place)) for place in rng.uniform(5, 6.9, size=60)]
    found = readings([part(curve, rng) for curve in curves])
    covered = 0
    for curve, reading in zip(curves, found, strict=True):
        low, high = reading.ends_log2
        true = crossing(curve)
        covered += (low is None or low <= true + 1e-3) and (high is None or high >= true - 1e-3)
    print(f"{truth}: {covered} of 60")
    assert covered >= binom.ppf(1e-3, 60, 0.93)


def test_a_cliff_may_lie_anywhere_in_its_gap() -> None:
    (reading,) = readings([part(cliff(np.log2(124)), np.random.default_rng(0), num_questions=3_000)])
    assert reading.shape == "cliff"
    assert reading.best_log2 == pytest.approx(6.5)
    low, high = reading.ends_log2
    assert low is not None
    assert high is not None
    assert low <= 6 + 1e-3
    assert high >= 7 - 1e-3


def test_weights_tell_how_sure_the_family_is() -> None:
    (reading,) = readings([part(logistic(6), np.random.default_rng(0))])
    assert sum(reading.weights.values()) == pytest.approx(1)
    assert max(reading.weights, key=lambda name: reading.weights[name]) == reading.shape


def test_estimates_lie_within_their_intervals_and_where_the_curve_crosses() -> None:
    rng = np.random.default_rng(1)
    for share in (0.9, 0.5):
        for reading in readings([part(logistic(place), rng) for place in (4.6, 5.3, 6.2, 7.0)], share):
            low, high = reading.ends_log2
            assert reading.best_log2 is not None
            assert low is None or low <= reading.best_log2
            assert high is None or reading.best_log2 <= high
            if reading.shape != "cliff":
                at = Crossing(np.full(1, share)).at(reading.fit.shape, reading.fit.theta[None], DOSES[None])
                assert at[0] == pytest.approx(reading.best_log2, abs=1e-6)


def test_ends_are_where_the_profile_crosses_the_threshold() -> None:
    """A refit from elsewhere, with the frequency held at each end, comes to the threshold."""
    (reading,) = readings([part(logistic(6.3), np.random.default_rng(5), num_questions=1_000)])
    for end in reading.ends_log2:
        assert end is not None
        grid = reading.profile.log_frequency / np.log(2)
        near = np.interp(end, grid, reading.profile.loglik)
        assert near == pytest.approx(-THRESHOLD, abs=0.6)  # the kept profile is interpolated


def test_the_least_dose_that_reaches_a_level() -> None:
    rng = np.random.default_rng(2)
    curves = [[part(lambda x: 0.95 * rise(x), rng, num_questions=2_000)]]
    tables = tabulate(curves, [DOSES])
    fits = [fit(tables, curves, shape) for shape in SHAPES]
    (reading,) = acquisition_readings(tables, fits, 0.8, np.full(1, THRESHOLD))
    true = 3 + 0.5 * np.log((0.8 / 0.95 - 0.1) / (1 - 0.8 / 0.95))
    assert reading.best_log2 == pytest.approx(true, abs=0.25)
    low, high = reading.ends_log2
    assert low is not None
    assert high is not None
    assert low <= true <= high
    (never,) = acquisition_readings(tables, fits, 0.99, np.full(1, THRESHOLD))
    assert never.best_log2 is None
    assert never.interval[1] is None


def test_a_rise_within_a_gap_may_be_anywhere_in_it() -> None:
    """All doses up to 8 have nothing, all from 16 on have everything: no dose tells where between."""
    rng = np.random.default_rng(0)
    one = part(lambda x: np.where(x < 3.5, 0.03, 0.95), rng)
    tables = tabulate([[one]], [DOSES])
    fits = [fit(tables, [[one]], shape) for shape in SHAPES]
    (reading,) = acquisition_readings(tables, fits, 0.8, np.full(1, THRESHOLD))
    low, high = reading.ends_log2
    assert low is not None
    assert high is not None
    assert low == pytest.approx(3, abs=0.05)
    assert high == pytest.approx(4, abs=0.05)
