"""The shape of a retention curve and its likelihood.

One fact set's mean accuracy at log2 dose x is 1/k + (1 − 1/k)·g(x), with g a rise, a plateau and a fall:

    g(x) = h · [u + (1 − u)·S((x − a)/w₁)] · [1 − (1 − v)·S((x − c)/w₂)],   S the logistic function,

h the plateau, u and v the shares of it before the rise and after the fall. Numbers of correct answers are
beta-binomial with intraclass correlation rho, which carries the scatter between seeds; where only retentions are
known they are normal. `overall` is the mean of its parts' g, and its likelihood their product.

Shape suffixes: B problems solved side by side, P parts, I observations, X places on the dose axis. A parameter vector
has 7 entries: h, u, v, a, ln w₁, c, ln w₂.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, digamma, expit

Array = NDArray[np.float64]

NUM_PARAMETERS = 7
COLLAPSE_SHARE = 0.9
HALF_SHARE = 0.5
_HIGHEST_LEVEL = 0.9995
_FEWEST_OCTAVES, _MOST_OCTAVES = 0.04, 1.5  # widths of rise and fall


class Part(NamedTuple):
    """One fact set's observations at positive doses. With `num_choices` 0, `values` are retentions with standard
    deviation `sd`; else numbers of correct answers out of `num_questions`, with intraclass correlation `rho`."""

    x: Array
    values: Array
    num_questions: Array
    num_choices: int
    rho: float
    sd: float

    @property
    def retentions(self) -> Array:
        if not self.num_choices:
            return self.values
        chance = 1 / self.num_choices
        return (self.values / self.num_questions - chance) / (1 - chance)


def box(doses: Array) -> tuple[Array, Array]:
    """Least and largest value of each parameter, for these tested log2 doses."""
    first, last = float(doses[0]), float(doses[-1])
    narrow, wide = float(np.log(_FEWEST_OCTAVES)), float(np.log(_MOST_OCTAVES))
    low = np.array([0.0, 0.0, 0.0, first - 2, narrow, first - 1, narrow])
    high = np.array([_HIGHEST_LEVEL, 1.0, 1.0, last + 1, wide, last + 3, wide])
    return low, high


def shape(theta: Array, x: Array) -> Array:
    """g at x: `theta` [..., 7], `x` [X] or [..., X] gives [..., X]."""
    h, u, v, a, log_w1, c, log_w2 = (theta[..., i, None] for i in range(NUM_PARAMETERS))
    rise = u + (1 - u) * expit((x - a) / np.exp(log_w1))
    fall = 1 - (1 - v) * expit((x - c) / np.exp(log_w2))
    return np.asarray(h * rise * fall)


def shape_gradient(theta: Array, x: Array) -> tuple[Array, Array]:
    """g at x, [..., X], and its derivatives, [..., 7, X]."""
    h, u, v, a, log_w1, c, log_w2 = (theta[..., i, None] for i in range(NUM_PARAMETERS))
    w1, w2 = np.exp(log_w1), np.exp(log_w2)
    z1, z2 = (x - a) / w1, (x - c) / w2
    s1, s2 = expit(z1), expit(z2)
    rise, fall = u + (1 - u) * s1, 1 - (1 - v) * s2
    slope1, slope2 = h * fall * (1 - u) * s1 * (1 - s1), h * rise * (1 - v) * s2 * (1 - s2)
    g = h * rise * fall
    gradient = np.empty((*g.shape[:-1], NUM_PARAMETERS, g.shape[-1]))
    for index, derivative in enumerate(
        (rise * fall, h * fall * (1 - s1), h * rise * s2, -slope1 / w1, -slope1 * z1, slope2 / w2, slope2 * z2)
    ):
        gradient[..., index, :] = derivative
    return g, gradient


def log_likelihood(part: Part, g: Array) -> Array:
    """Each observation's log-likelihood at the levels g [..., I], up to a constant."""
    if not part.num_choices:
        return np.asarray(-0.5 * ((part.values - g) / part.sd) ** 2)
    alpha, beta, _ = _beta_parameters(part, g)
    return np.asarray(betaln(part.values + alpha, part.num_questions - part.values + beta) - betaln(alpha, beta))


def score_and_information(part: Part, g: Array) -> tuple[Array, Array]:
    """The log-likelihood's derivative in g and the expected information about g, each [..., I]."""
    if not part.num_choices:
        return (part.values - g) / part.sd**2, np.full_like(g, part.sd**-2)
    chance, n = 1 / part.num_choices, part.num_questions
    alpha, beta, p = _beta_parameters(part, g)
    right, wrong = part.values, n - part.values
    size = (1 - part.rho) / part.rho
    slope = size * (digamma(right + alpha) - digamma(wrong + beta) - digamma(alpha) + digamma(beta))
    information = n / (p * (1 - p) * (1 + (n - 1) * part.rho))
    return slope * (1 - chance), information * (1 - chance) ** 2


def _beta_parameters(part: Part, g: Array) -> tuple[Array, Array, Array]:
    chance = 1 / part.num_choices
    p = np.clip(chance + (1 - chance) * g, 1e-5, 1 - 1e-5)
    size = (1 - part.rho) / part.rho
    return p * size, (1 - p) * size, p


def mean_curve(theta: Array, x: Array) -> Array:
    """The mean of the parts' g: `theta` [..., P, 7] gives [..., X]."""
    return np.asarray(shape(theta, x).mean(axis=-2))


def last_crossing(theta: Array, doses: Array, share: float) -> float | None:
    """The last log2 dose within the tested ones where the curve of `theta` [P, 7] is at least `share` of its largest
    value at a tested dose; None if it still is at the last dose."""
    grid = np.union1d(np.linspace(doses[0], doses[-1], 512), doses)
    values = mean_curve(theta, grid)
    level = share * mean_curve(theta, doses).max()
    if values[-1] >= level:
        return None
    i = int(np.flatnonzero(values >= level)[-1])
    return float(grid[i] + (grid[i + 1] - grid[i]) * (values[i] - level) / (values[i] - values[i + 1]))


def first_crossing(theta: Array, doses: Array, level: float) -> float | None:
    """The least log2 dose within the tested ones where the curve of `theta` [P, 7] reaches `level`; None if it nowhere
    does, the first dose itself where it is there already."""
    grid = np.linspace(doses[0], doses[-1], 512)
    values = mean_curve(theta, grid)
    above = np.flatnonzero(values >= level)
    if not len(above):
        return None
    i = int(above[0])
    if i == 0:
        return float(grid[0])
    return float(grid[i - 1] + (grid[i] - grid[i - 1]) * (level - values[i - 1]) / (values[i] - values[i - 1]))
