"""The power law with an offset: F* = A · (N / N₀)^α + B. For six sizes or more: it bends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from engine.analysis.forms.base import Bounds, LawForm, first_start, rows_in_size, wide_bounds
from engine.analysis.forms.power import power_words
from engine.analysis.law_points import LawPoint
from engine.analysis.likelihood import Array

MIN_SIZES = 6


def _refusal(points: Sequence[LawPoint]) -> str | None:
    return None if len({p.num_params for p in points if p.observed}) >= MIN_SIZES else ""


def _mean(beta: Array, rows_nk: Array) -> Array:
    return np.asarray(np.logaddexp(rows_nk @ beta[:2], beta[2]))


def _gradient(beta: Array, rows_nk: Array) -> Array:
    share_n = expit(rows_nk @ beta[:2] - beta[2])
    return np.column_stack([rows_nk * share_n[:, None], 1 - share_n])


def _start(observed_n: Array, num_coefficients: int) -> Array:
    start = first_start(observed_n, num_coefficients)
    start[2] = float(np.min(observed_n)) - 2
    return start


def _bounds(observed_n: Array, num_coefficients: int) -> Bounds:
    return [*wide_bounds(observed_n, num_coefficients)[:2], (-20.0, float(np.max(observed_n)) + 3)]


OFFSET = LawForm(
    name="offset",
    parameters=("log_coefficient", "exponent_params", "log_offset"),
    refusal=_refusal,
    design=rows_in_size,
    equation=lambda beta, size, budget, name: f"{power_words(beta, size, name)} + {math.exp(beta[2]):.3g}",
    mean=_mean,
    gradient=_gradient,
    start=_start,
    bounds=_bounds,
)
