"""Does the best curve fit at all? Pearson's statistic of its cells, its level by a parametric bootstrap.

Cells (a fact set at a dose) are drawn around the fitted levels as seeds scatter: up and down, sideways, and with what
is not known of the pooled scatter itself. Each draw is fitted again to first order: what the curve's parameters can
follow is projected out, of the draws and of the observed residuals alike. (Fitting every draw anew would take a hundred
times as long.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine.analysis.fitting import Fit
from engine.analysis.gate import DosePart
from engine.analysis.likelihood import Array
from engine.analysis.shapes.base import NUM_PARAMETERS

_NUM_DRAWS = 999
_STEP_OCTAVES = 0.02
_RANK_TOLERANCE = 1e-3


class Goodness(NamedTuple):
    """p of a misfit as large where the curve is true; and each cell's mean less the curve, in standard deviations of a
    single seed, [P, J]."""

    p_value: float
    residuals: Array


def goodness_of_fit(
    fit: Fit, doses: Array, by_dose: Sequence[Sequence[DosePart]], *, shift_octaves: Array, residual_df: int
) -> Goodness:
    """`doses`: log2, in ascending order, each with its parts; `shift_octaves` [P]: how far seeds shift each part's
    fall; `residual_df`: degrees of freedom behind the pooled scatter."""
    num_parts, num_doses = len(by_dose[0]), len(doses)
    levels, gradient = fit.shape.levels_and_gradient(fit.theta, np.broadcast_to(doses, (num_parts, num_doses)))
    slopes = _slopes(fit, doses)
    means = np.array([[dose[p].mean for dose in by_dose] for p in range(num_parts)])
    num_seeds = np.array([[len(dose[p].retentions) for dose in by_dose] for p in range(num_parts)])
    sideways = slopes * shift_octaves[:, None] / np.sqrt(num_seeds)
    up_and_down = np.array(
        [[dose[p].variance_of_mean(float(levels[p, j])) for j, dose in enumerate(by_dose)] for p in range(num_parts)]
    )
    sd = np.sqrt(up_and_down + sideways**2)
    left = _left_over(gradient, sd)

    rng = np.random.default_rng(0)
    inflation = residual_df / rng.chisquare(residual_df, _NUM_DRAWS)
    shift = rng.standard_normal(_NUM_DRAWS)  # of a whole curve: its seeds' mean
    draws = np.empty((_NUM_DRAWS, num_parts, num_doses))
    for p in range(num_parts):
        for j, dose in enumerate(by_dose):
            level = float(np.clip(levels[p, j], 0.0, 1.0))
            draws[:, p, j] = dose[p].draw_means(level, inflation, rng) - level + sideways[p, j] * shift
    misfits = (((draws / sd).reshape(_NUM_DRAWS, -1) @ left) ** 2).sum(axis=1)
    misfit = float(((((means - levels) / sd).ravel() @ left) ** 2).sum())
    p_value = float((1 + (misfits >= misfit).sum()) / (_NUM_DRAWS + 1))
    return Goodness(p_value, (means - levels) / (sd * np.sqrt(num_seeds)))


def _slopes(fit: Fit, doses: Array) -> Array:
    """dg / dx of each part at each dose, [P, J]."""
    around = [fit.shape.levels(fit.theta, doses + side * _STEP_OCTAVES) for side in (1, -1)]
    return np.asarray((around[0] - around[1]) / (2 * _STEP_OCTAVES))


def _left_over(gradient: Array, sd: Array) -> Array:
    """The projection of scaled cells [P · J] onto what no parameter can follow; `gradient` [P, 7, J]."""
    num_parts, num_doses = sd.shape
    tangent = np.zeros((num_parts * num_doses, num_parts * NUM_PARAMETERS))
    for p in range(num_parts):
        rows, columns = slice(p * num_doses, (p + 1) * num_doses), slice(p * NUM_PARAMETERS, (p + 1) * NUM_PARAMETERS)
        tangent[rows, columns] = (gradient[p] / sd[p]).T
    basis, sizes, _ = np.linalg.svd(tangent, full_matrices=False)
    basis = basis[:, sizes > _RANK_TOLERANCE * sizes.max(initial=0.0)]
    return np.asarray(np.eye(len(tangent)) - basis @ basis.T)
