"""The fitted curve between and around the doses, with a pointwise 95 % band: for drawing, not for verdicts.

The band is the delta method's (Seber and Wild 1989, section 5.1) for the best shape alone, from its derivatives and the
precision of the seeds' means. What the doses leave open (how a rise goes on between two of them) is left out: it held
seven in eight of the places of simulated curves (test_fitted_curve.py). The interval of F* is by profile likelihood
over all shapes, and wider where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student_t

from engine.analysis.fitting import Fit
from engine.analysis.gate import DosePart
from engine.analysis.likelihood import Array
from engine.records.analysis import FittedCurve

_NUM_PLACES = 65
_RANK_TOLERANCE = 1e-4
_DIGITS = 4


def fitted_curve(
    fit: Fit, doses: Array, by_dose: Sequence[Sequence[DosePart]], *, dispersion: float, residual_df: int
) -> FittedCurve:
    """`doses` [J]: log2, in ascending order, each with its parts, whose mean is the curve; `dispersion` scales the
    variance of that mean for what parts have in common; `residual_df`: degrees of freedom behind the pooled scatter."""
    places = np.linspace(doses[0], doses[-1], _NUM_PLACES)
    num_parts = len(by_dose[0])
    variance = np.zeros(_NUM_PLACES)
    for p in range(num_parts):
        levels_J, gradient_KJ = fit.shape.levels_and_gradient(fit.theta[p], doses)
        variances_J = [dose[p].variance_of_mean(float(level)) for dose, level in zip(by_dose, levels_J, strict=True)]
        tangent_JK = gradient_KJ.T / np.sqrt(variances_J)[:, None]
        gradient_KX = fit.shape.levels_and_gradient(fit.theta[p], places)[1]
        covariance_KK = np.linalg.pinv(tangent_JK.T @ tangent_JK, rcond=_RANK_TOLERANCE, hermitian=True)
        variance += np.einsum("kx,kl,lx->x", gradient_KX, covariance_KK, gradient_KX)
    middle = fit.at(places)
    reach = student_t.ppf(0.975, max(residual_df, 1)) * np.sqrt(dispersion * np.maximum(variance, 0.0)) / num_parts
    return FittedCurve(
        first=float(2 ** doses[0]),
        last=float(2 ** doses[-1]),
        retention=_rounded(middle),
        low=_rounded(np.clip(middle - reach, 0.0, 1.0)),
        high=_rounded(np.clip(middle + reach, 0.0, 1.0)),
    )


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(np.round(values, _DIGITS).tolist())
