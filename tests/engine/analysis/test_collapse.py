"""Collapse points of simulated curves whose truth is known, and the verdicts."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from engine.analysis.curves import Observation, observation_of_counts
from engine.analysis.simulate import simulate
from tests.engine.analysis.conftest import collapses, observations, points, truth


def test_the_collapse_point_of_plentiful_data_is_the_truth() -> None:
    (point,) = points(simulate(truth(num_questions=4_000, num_seeds=5, rho=1e-4), 0))
    assert point.status == "observed"
    assert point.collapse_frequency is not None
    low, high = point.interval
    assert low is not None
    assert high is not None
    assert np.log2(point.collapse_frequency) == pytest.approx(np.log2(40), abs=0.06)
    assert low < 40 < high
    assert np.log2(high / low) < 0.4
    assert point.best_frequency in (16, 32)
    assert point.half_drop_frequency is None  # the simulated truth ends at 51 % of its maximum
    assert point.acquisition_frequency is not None
    assert point.acquisition_frequency < 16


def test_fewer_questions_widen_the_interval_and_leave_the_point() -> None:
    (many,), (few,) = (points(simulate(truth(num_questions=n, rho=1e-4), 3)) for n in (2_000, 100))
    width = [np.log(p.interval[1] / p.interval[0]) for p in (many, few)]  # type: ignore[operator]
    assert width[0] < width[1]


def test_without_a_collapse_no_frequency_is_claimed() -> None:
    found = points(simulate(truth(collapse=None, sizes=tuple(range(10_000, 110_000, 10_000))), 0))
    assert all((point.collapse_frequency is None) == (point.status != "observed") for point in found)
    statuses = [point.status for point in found]
    # One in twenty by the level of the gate, and a drop of 10 % besides.
    assert statuses.count("observed") <= 2
    assert statuses.count("right_censored") >= 6


def test_standing_at_the_ceiling_is_not_censoring() -> None:
    (point,) = points(simulate(truth(collapse=None, ceiling=130.0, num_questions=1_000), 0))
    assert point.status == "none_below_ceiling"
    assert point.interval == (128, None)


def test_a_fall_from_the_first_dose_is_left_censored() -> None:
    (point,) = points(observations({1: 0.9, 2: 0.6, 4: 0.4, 8: 0.2, 16: 0.1}))
    assert point.status == "left_censored"
    assert point.collapse_frequency is None
    assert point.interval[0] is None
    assert "lower frequencies" in point.reason


def test_a_model_that_learned_nothing_says_nothing() -> None:
    (collapse,) = collapses(observations(dict.fromkeys((1, 2, 4, 8, 16, 32), 0.0)))
    assert (collapse.point.status, collapse.profile) == ("insufficient", None)
    assert "nothing was learned" in collapse.point.reason


def test_too_little_data_is_said_to_be_too_little() -> None:
    (few,) = points(observations({1: 0.1, 4: 0.9, 16: 0.2}))
    assert (few.status, few.reason) == ("insufficient", "3 of at least 4 positive frequencies have results")
    (alone,) = points(observations({1: 0.1, 4: 0.9, 16: 0.5, 32: 0.2}, num_seeds=1))
    assert alone.status == "insufficient"
    assert "no cell of the sweep has two seeds" in alone.reason


def test_retentions_without_counts_give_the_same_point() -> None:
    counted = simulate(truth(num_questions=1_000), 5)
    bare = [o._replace(correct=None, num_questions=None, num_choices=None) for o in counted]
    (a,), (b,) = points(counted), points(bare)
    assert a.collapse_frequency is not None
    assert b.collapse_frequency is not None
    assert np.log2(b.collapse_frequency / a.collapse_frequency) == pytest.approx(0, abs=0.15)
    assert b.status == "observed"


def test_a_run_more_than_the_plan_or_less_is_no_obstacle() -> None:
    kept = [o for i, o in enumerate(simulate(truth(), 7)) if i % 11]
    (point,) = points(kept)
    assert point.status == "observed"


FIVE = truth(sizes=(10_000, 20_000, 30_000, 40_000, 50_000), collapse=lambda _: 40.0)
"""Five curves of one truth: as many as share their scatter in a sweep."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_intervals_cover_the_truth() -> None:
    covered = 0
    for seed in range(60):
        for point in points(simulate(FIVE, 1_000 + seed)):
            low, high = point.interval
            covered += (low is None or low <= 40) and (high is None or high >= 40)
    print(f"{covered} of 300 intervals hold the truth")
    assert covered >= binom.ppf(1e-3, 300, 0.93)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("half", [0, 1])
def test_300_questions_and_3000_find_the_same_point(half: int) -> None:
    """The same runs, asked 300 of the 3,000 questions: in both halves of 500 pairs the median difference is under 0.1
    octave."""
    rng = np.random.default_rng(half)
    differences = []
    for seed in range(50 * half, 50 * (half + 1)):
        many = simulate(FIVE._replace(num_questions=3_000), seed)
        few = [_asked(o, 300, rng) for o in many]
        for a, b in zip(points(many), points(few), strict=True):
            if a.collapse_frequency is not None and b.collapse_frequency is not None:
                differences.append(abs(np.log2(a.collapse_frequency / b.collapse_frequency)))
    assert len(differences) >= 245
    median = float(np.median(differences))
    print(f"{len(differences)} pairs, median difference {median:.3f} octaves")
    assert median < 0.1


def _asked(o: Observation, num_questions: int, rng: np.random.Generator) -> Observation:
    assert o.correct is not None
    assert o.num_questions is not None
    assert o.num_choices is not None
    correct = int(rng.hypergeometric(o.correct, o.num_questions - o.correct, num_questions))
    return observation_of_counts(o.condition, o.frequency, o.seed, o.fact_set, correct, num_questions, o.num_choices)


@settings(max_examples=8, deadline=None)
@given(order=st.randoms(use_true_random=False), labels=st.permutations(range(3)))
def test_the_order_of_rows_and_the_labels_of_seeds_mean_nothing(order: Random, labels: list[int]) -> None:
    rows = simulate(truth(), 4)
    (usual,) = points(rows)
    other = [o._replace(seed=labels[o.seed]) for o in rows]
    order.shuffle(other)
    (again,) = points(other)
    assert again.status == usual.status
    assert again.collapse_frequency == pytest.approx(usual.collapse_frequency, rel=1e-6)
    assert again.interval == pytest.approx(usual.interval, rel=1e-6)


@settings(max_examples=6, deadline=None)
@given(factor=st.sampled_from([0.25, 3, 7.5, 1_000]))
def test_frequencies_in_another_unit_give_the_same_in_that_unit(factor: float) -> None:
    rows = simulate(truth(), 4)
    (usual,) = points(rows)
    (scaled,) = points([o._replace(frequency=o.frequency * factor) for o in rows])
    assert scaled.status == usual.status == "observed"
    assert usual.collapse_frequency is not None
    assert scaled.collapse_frequency == pytest.approx(usual.collapse_frequency * factor, rel=5e-3)
    assert scaled.interval == pytest.approx([(end or 0) * factor for end in usual.interval], rel=1e-2)
    assert scaled.drop == pytest.approx(usual.drop, abs=5e-3)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), place=st.floats(10, 100))
def test_what_is_observed_lies_inside_its_own_interval(seed: int, place: float) -> None:
    levels = {f: 0.9 / (1 + (f / place) ** 2.5) for f in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)}
    rng = np.random.default_rng(seed)
    (found,) = collapses([_asked(o, 200, rng) for o in observations(levels)])
    point = found.point
    for frequency, (low, high) in (
        (point.collapse_frequency, point.interval),
        (point.half_drop_frequency, point.half_drop_interval),
        (point.acquisition_frequency, point.acquisition_interval),
    ):
        if frequency is not None:
            assert low is None or low <= frequency * (1 + 1e-9)
            assert high is None or frequency <= high * (1 + 1e-9)


DOSES_8 = (1, 2, 4, 8, 16, 32, 64, 128)


@pytest.mark.parametrize(
    ("name", "levels", "num_seeds"),
    [
        ("constant", dict.fromkeys(DOSES_8, 0.6), 3),
        ("all right", dict.fromkeys(DOSES_8, 1.0), 3),
        ("all wrong", dict.fromkeys(DOSES_8, 0.0), 3),
        ("two doses", {1: 0.9, 64: 0.2}, 3),
        ("one dose", {1: 0.9}, 3),
        ("one seed", {f: 0.9 if f < 30 else 0.2 for f in DOSES_8}, 1),
        ("falls to nothing", {f: 1.0 if f < 30 else 0.0 for f in DOSES_8}, 3),
        ("one dose alone has learned", dict.fromkeys(DOSES_8, 0.0) | {16: 1.0}, 3),
    ],
)
def test_every_curve_gets_a_verdict_in_words(name: str, levels: dict[int, float], num_seeds: int) -> None:
    (point,) = points(observations(levels, num_seeds=num_seeds))
    assert point.reason, name
    assert (point.collapse_frequency is None) == (point.status != "observed")
    if name in ("constant", "all right", "all wrong", "two doses", "one dose", "one seed"):
        assert point.status != "observed"
    for end in (*point.interval, *point.half_drop_interval):
        assert end is None or np.isfinite(end)


def test_no_results_are_no_curve() -> None:
    assert points([]) == []
