"""A curve that no shape follows is said to be one; a curve that one follows is not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.analysis.conftest import collapses, observations

RISE_AND_FALL = {1: 0.1, 2: 0.3, 4: 0.7, 8: 0.85, 16: 0.85, 32: 0.8, 64: 0.4, 128: 0.2}
TWO_FALLS = RISE_AND_FALL | {4: 0.3, 8: 0.85, 16: 0.2, 32: 0.85}


def test_a_curve_with_two_falls_fits_no_shape() -> None:
    (good,) = collapses(observations(RISE_AND_FALL))
    (bad,) = collapses(observations(TWO_FALLS))
    assert good.point.p_value_fit is not None
    assert good.point.p_value_fit > 0.05
    assert bad.point.p_value_fit is not None
    assert bad.point.p_value_fit < 0.01
    worst = max(bad.point.residuals, key=lambda cell: abs(cell.residual))
    assert worst.frequency in (4, 8, 16, 32)
    assert abs(worst.residual) > 3


def test_residuals_are_those_of_the_cells_in_seed_sds() -> None:
    (found,) = collapses(observations(RISE_AND_FALL))
    assert [cell.frequency for cell in found.point.residuals] == list(RISE_AND_FALL)
    assert {cell.fact_set for cell in found.point.residuals} == {"overall"}
    assert max(abs(cell.residual) for cell in found.point.residuals) < 3


@pytest.mark.slow
def test_true_curves_are_seldom_doubted() -> None:
    from tests.bench.calibration import truths as calibration

    rng, low = np.random.default_rng(5), 0
    for make in list(calibration.TRUTHS.values())[:4]:
        levels = [make(float(rng.uniform(4.8, 6.8)), float(rng.random())) for _ in range(30)]
        found = calibration.analysed(calibration.drawn(levels, calibration.Design(), rng))
        low += sum((one.point.p_value_fit or 1.0) < 0.05 for one in found)
    assert low <= 0.05 * 120 + 3 * np.sqrt(120 * 0.05 * 0.95)
