"""The curve that is drawn: through its points, and with a band that holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from engine.records.analysis import FittedCurve
from tests.bench.calibration import truths as calibration
from tests.engine.analysis.conftest import collapses, observations

RISE_AND_FALL = {1: 0.1, 2: 0.3, 4: 0.7, 8: 0.85, 16: 0.85, 32: 0.8, 64: 0.4, 128: 0.2}


def test_it_goes_near_the_means_and_by_the_collapse_point() -> None:
    (found,) = collapses(observations(RISE_AND_FALL))
    fitted = found.point.fitted
    assert fitted is not None
    assert (fitted.first, fitted.last) == (1.0, 128.0)
    for frequency, level in RISE_AND_FALL.items():
        assert abs(fitted.at(frequency) - level) < 0.1
    assert found.point.collapse_frequency is not None
    assert fitted.at(found.point.collapse_frequency) == pytest.approx(0.9 * max(fitted.retention), abs=0.02)
    for low, middle, high in zip(fitted.low, fitted.retention, fitted.high, strict=True):
        assert low <= middle <= high


def test_places_between_two_are_read_between_them() -> None:
    fitted = FittedCurve(first=1.0, last=4.0, retention=(0.0, 1.0, 0.5), low=(0.0,) * 3, high=(1.0,) * 3)
    assert fitted.frequencies == (1.0, 2.0, 4.0)
    assert fitted.at(2.0**0.5) == pytest.approx(0.5)
    assert (fitted.at(0.1), fitted.at(100.0)) == (0.0, 0.5)


@pytest.mark.parametrize("name", ["double logistic", "trapezoid"])
def test_the_band_holds_the_truth(name: str) -> None:
    rng = np.random.default_rng(1)
    levels = [calibration.TRUTHS[name](float(rng.uniform(4.8, 6.8)), float(rng.random())) for _ in range(40)]
    found = calibration.analysed(calibration.drawn(levels, calibration.Design(), rng))
    held = []
    for one, level in zip(found, levels, strict=True):
        fitted = one.point.fitted
        if fitted is not None:
            true = level(np.log2(fitted.frequencies))
            held.append((np.array(fitted.low) <= true) & (true <= np.array(fitted.high)))
    assert len(held) > 30
    assert np.mean(held) > 0.85
