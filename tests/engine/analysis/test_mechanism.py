"""Infused against neutral arm: what is dilution, what is interference, and how surely."""

from __future__ import annotations

import numpy as np
import pytest

from engine.analysis.curves import Observation, gather, observation_of_counts
from engine.analysis.law_document import curve_record
from engine.analysis.mechanism import mechanism
from engine.records.analysis import CollapsePoint, RetentionCurve
from engine.records.conditions import Condition
from engine.records.effects import Mechanism
from tests.engine.analysis.conftest import collapses

DOSES = (0, 2, 8, 32, 128)
SIZES = (7_000, 15_000, 30_000, 60_000)


def condition(size: int, fill: str) -> Condition:
    ceiling = 200 if fill == "infused" else 210
    return Condition(num_params=size, num_tokens=10**6, templates=1, fill=fill, ceiling_frequency=ceiling)


def arms(
    dilution: float,
    interference: float,
    *,
    sizes: tuple[int, ...] = SIZES,
    num_seeds: int = 3,
    scatter: float = 0.0,
    seed: int = 0,
) -> list[RetentionCurve]:
    """Both arms of each size. Retention of prior facts falls linearly in F, by `dilution` in both arms and by
    `interference` more in the infused one; `scatter` is the standard deviation of a whole curve."""
    rng, observations = np.random.default_rng(seed), []
    for size in sizes:
        for fill in ("neutral", "infused"):
            whole = scatter * rng.standard_normal()
            for frequency in DOSES:
                share = frequency / DOSES[-1]
                level = 0.8 - share * (dilution + (interference if fill == "infused" else 0.0)) + whole
                for run in range(num_seeds):
                    correct = int(rng.binomial(400, 0.25 + 0.75 * level))
                    o = observation_of_counts(condition(size, fill), frequency, run, "prior", correct, 400, 4)
                    observations.append(o._replace(prior_exposures=10 - 5 * share))
    return [curve_record(curve) for curve in gather(observations)]


def found_in(curves: list[RetentionCurve], points: tuple[CollapsePoint, ...] = ()) -> Mechanism:
    found = mechanism(curves, points)
    assert found is not None
    return found


def test_a_fall_is_taken_apart_into_dilution_and_interference() -> None:
    found = found_in(arms(0.2, 0.3))
    assert (found.num_pairs, found.unit) == (4, "curve")
    assert found.p < 0.01
    assert (found.interval[1] or 0) < 0
    (last,) = [c for c in found.cells if c.frequency == 128 and c.condition.num_params == 30_000]
    assert last.dilution == pytest.approx(-0.2, abs=0.06)
    assert last.interference == pytest.approx(-0.3, abs=0.06)
    assert last.dilution_since == 0
    assert last.prior_exposures == pytest.approx(5)
    assert last.retention[1] - last.retention[0] == pytest.approx(last.interference)
    held = 0
    for cell in found.cells:
        assert cell.interference_interval is not None
        low, high = cell.interference_interval
        held += low < -0.3 * cell.frequency / 128 < high
    assert held >= 14  # of 16, at 95 %


def test_dilution_alone_is_not_called_interference() -> None:
    found = found_in(arms(0.4, 0.0))
    assert found.p > 0.05
    low, high = found.interval
    assert low is not None
    assert high is not None
    assert low < 0 < high


def test_few_pairs_are_tested_by_their_seeds_and_say_so() -> None:
    found = found_in(arms(0.2, 0.3, sizes=SIZES[:1], num_seeds=5))
    assert (found.num_pairs, found.unit) == (1, "seed")
    assert found.p < 0.05
    low, high = found.interval
    assert low is not None
    assert high is not None
    assert low < -0.3 * sum(DOSES) / 4 / 128 < high
    assert high - low < 0.1  # as seeds scatter, however large the difference is


def test_curves_that_scatter_as_a_whole_raise_no_false_alarms() -> None:
    alarms = sum(found_in(arms(0.2, 0.0, scatter=0.05, num_seeds=2, seed=s)).p < 0.05 for s in range(200))
    assert alarms <= 19  # 5 % of 200, and three standard errors


def test_without_a_neutral_arm_there_is_nothing_to_compare() -> None:
    assert mechanism([c for c in arms(0.2, 0.3) if c.condition.fill == "infused"], ()) is None


def test_collapse_points_of_both_arms_are_compared_size_by_size() -> None:
    """The neutral arm falls two octaves later."""

    def of(fill: str, falls_at: float) -> list[Observation]:
        rng, drawn = np.random.default_rng(0), []
        for frequency in (1, 4, 16, 32, 64, 128, 256, 512):
            level = 0.9 if frequency <= falls_at else 0.3
            for run in range(3):
                correct = int(rng.binomial(400, 0.25 + 0.75 * level))
                drawn.append(observation_of_counts(condition(7_000, fill), frequency, run, "prior", correct, 400, 4))
        return drawn

    observations = [*of("neutral", 128), *of("infused", 32)]
    records = [curve_record(curve) for curve in gather(observations)]
    points = []
    for fill in ("neutral", "infused"):
        (collapse,) = collapses([o._replace(fact_set="") for o in observations if o.condition.fill == fill])
        points.append(collapse.point)
    (difference,) = found_in(records, tuple(points)).collapse_points
    low, high = difference.interval
    assert low is not None
    assert high is not None
    assert low < difference.difference_ln < high < 0
    assert low < -2 * np.log(2) < high
