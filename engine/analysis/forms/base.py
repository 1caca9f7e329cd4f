"""What a form of law is: how its mean depends on size and budget, on which scale, and when it may be fitted.

Shapes: n points, k coefficients. `x` and `y` are centred logarithms of N and D.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.analysis.law_points import LawPoint
from engine.analysis.likelihood import Array

Bounds = list[tuple[float, float]]


def linear_mean(beta: Array, rows_nk: Array) -> Array:
    """The mean of each point, [n]."""
    return np.asarray(rows_nk @ beta)


def linear_gradient(beta: Array, rows_nk: Array) -> Array:
    """The mean's derivative in each coefficient, [n, k]."""
    return rows_nk


def first_start(observed_n: Array, num_coefficients: int) -> Array:
    """Where the search begins: no dependence on anything."""
    start = np.zeros(num_coefficients)
    start[0] = np.mean(observed_n)
    return start


def wide_bounds(observed_n: Array, num_coefficients: int) -> Bounds:
    """Limits of the search: none that a law of this world comes near."""
    return [(-60.0, 60.0)] + [(-6.0, 6.0)] * (num_coefficients - 1)


@dataclass(frozen=True)
class Scale:
    """What a law's mean is: ln F*, or another function of F* and the ceiling that rises with F*."""

    of_log_frequency: Callable[[Array, float | None], Array]
    to_frequency: Callable[[float, float | None], float]


def _log_frequency(value: float, ceiling: float | None) -> float:
    return float(np.exp(np.clip(value, -700, 700))) if np.isfinite(value) else (0.0 if value < 0 else np.inf)


LOG_FREQUENCY = Scale(lambda log_frequency, _ceiling: log_frequency, _log_frequency)


@dataclass(frozen=True)
class LawForm:
    """One form. `FORMS` (in this folder) has them all."""

    name: str
    """As it stands in documents and in the sweep file."""
    parameters: tuple[str, ...]
    """Names of the coefficients, the level first."""
    refusal: Callable[[Sequence[LawPoint]], str | None]
    """None where it may be fitted to these points; else why not, in words or (where nobody would expect it) in none."""
    design: Callable[[Array, Array], Array]
    """(x, y) gives rows [n, k]."""
    equation: Callable[[Array, str, str, str], str]
    """(beta, the size and the budget that it is centred on, the name of what it gives), in words."""
    needs: str = ""
    """What it needs that points may lack, in words."""
    uses_tokens: bool = False
    """Whether it says anything of other budgets."""
    mean: Callable[[Array, Array], Array] = linear_mean
    gradient: Callable[[Array, Array], Array] = linear_gradient
    start: Callable[[Array, int], Array] = first_start
    bounds: Callable[[Array, int], Bounds] = wide_bounds
    scale: Scale = LOG_FREQUENCY

    @property
    def num_coefficients(self) -> int:
        return len(self.parameters)


def rows_in_size(x: Array, y: Array) -> Array:
    """A level and a slope in ln N, [n, 2]."""
    return np.stack([np.ones_like(x), x], axis=1)
