"""What retention is drawn over."""

from __future__ import annotations

import pytest

from engine.errors import SpecError
from engine.records.analysis import DosePoint, RetentionCurve, Score
from engine.records.conditions import Condition
from kitui.services.dose_axes import DOSE_AXES, EXPOSURES, FREQUENCY, SHARE, dose_axis
from kitui.services.palette import Look
from kitui.tui.plot.series import curve_series


def point(frequency: int, exposures: float | None, share: float | None) -> DosePoint:
    scores = tuple(
        Score(seed=seed, retention=0.5, prior_exposures=exposures and exposures + seed, infused_share=share)
        for seed in range(2)
    )
    return DosePoint(frequency=frequency, values=scores, mean=0.5 - frequency / 100, sd=0.1, n=2)


CURVE = RetentionCurve(
    condition=Condition(num_params=7_000, num_tokens=10**6),
    fact_set="prior",
    points=(point(0, 16, 0), point(4, 14, 0.05), point(12, 11, 0.15)),
)


def test_places_are_means_over_seeds_and_unknown_ones_have_none() -> None:
    assert [EXPOSURES.of(p) for p in CURVE.points] == [16.5, 14.5, 11.5]
    assert [SHARE.of(p) for p in CURVE.points] == [0, 0.05, 0.15]
    assert [FREQUENCY.of(p) for p in CURVE.points] == [0, 4, 12]
    assert EXPOSURES.of(point(4, None, None)) is None


def test_a_curve_over_exposures_runs_from_what_was_read_least_and_has_the_baseline() -> None:
    (series,) = curve_series(CURVE, "7k", Look(0, 0), axis=EXPOSURES)
    assert series.x == (11.5, 14.5, 16.5)
    assert series.y == pytest.approx((0.38, 0.46, 0.5))
    (over_frequency,) = curve_series(CURVE, "7k", Look(0, 0))
    assert over_frequency.x == (4, 12)
    assert over_frequency.zero == pytest.approx(series.y[-1])


def test_axes_are_known_by_name() -> None:
    assert [dose_axis(axis.name) for axis in DOSE_AXES] == list(DOSE_AXES)
    with pytest.raises(SpecError, match="exposures"):
        dose_axis("exposure")
