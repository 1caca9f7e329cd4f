"""The shape of a retention curve and its likelihood.

One fact set's mean accuracy at log2 dose x is 1/k + (1 − 1/k)·g(x), with g a rise, a plateau and a fall:

    g(x) = h · [u + (1 − u)·S((x − a)/w₁)] · [1 − (1 − v)·S((x − c)/w₂)],   S the logistic function,

h the plateau, u and v the shares of it before the rise and after the fall. Numbers of correct answers are
beta-binomial with intraclass correlation rho, which carries the scatter between seeds; where only retentions are
known they are normal. `overall` is the mean of its parts' g, and its likelihood their product.

Shape suffixes: B problems solved side by side, P parts, J doses, K table entries, X places on the dose axis. A
parameter vector has 7 entries: h, u, v, a, ln w₁, c, ln w₂.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, digamma, expit

Array = NDArray[np.float64]

NUM_PARAMETERS = 7
_HIGHEST_LEVEL = 0.9995
_FEWEST_OCTAVES, _MOST_OCTAVES = 0.04, 1.5  # widths of rise and fall
_TABLE_SIZE = 257


class Part:
    """One fact set's observations at the tested doses, as a likelihood of the levels g there.

    With `num_choices` 0, `values` are retentions with standard deviation `sd`; else numbers of correct answers out of
    `num_questions`, with intraclass correlation `rho`. `x` are log2 doses, one an observation.

    A fit asks for the likelihood of levels many thousand times, always of the same counts: it is tabulated once, a
    function of g for each dose (closer together towards 0 and 1), and read off by cubic Hermite interpolation.
    """

    def __init__(
        self, x: Array, values: Array, num_questions: Array, num_choices: float, rho: float, sd: float, doses: Array
    ) -> None:
        self.doses = doses
        self.num_choices = num_choices
        retentions = values
        if num_choices:
            chance = 1 / num_choices
            retentions = (values / num_questions - chance) / (1 - chance)
        self.seeds_J = [retentions[x == dose] for dose in doses]
        self.means_J = np.array([r.mean() if len(r) else np.nan for r in self.seeds_J])
        self.num_questions = int(num_questions.mean())
        self.rho, self.sd = rho, sd
        # The expected information about g is precision · (a function of p), summed over a dose's observations.
        self._precision_J = np.array(
            [float((_precision(num_questions, rho, sd, num_choices) * (x == d)).sum()) for d in doses]
        )
        levels_K = (1 - np.cos(np.linspace(0, np.pi, _TABLE_SIZE))) / 2
        observed = [(values[x == d], num_questions[x == d]) for d in doses]
        tables = [_tabulate(v, n, levels_K, num_choices, rho, sd) for v, n in observed]
        self._levels_K = levels_K
        self._values_JK = np.stack([t[0] for t in tables])
        self._slopes_JK = np.stack([t[1] for t in tables])

    def log_likelihood(self, g: Array) -> Array:
        """The log-likelihood, up to a constant, of levels g [..., J]: [...]."""
        return np.asarray(self._interpolate(g)[0].sum(axis=-1))

    def score_and_information(self, g: Array) -> tuple[Array, Array]:
        """The log-likelihood's derivative in g and the expected information about g, each [..., J]."""
        information = np.broadcast_to(self._precision_J, g.shape)
        if self.num_choices:
            chance = 1 / self.num_choices
            p = np.clip(chance + (1 - chance) * g, 1e-4, 1 - 1e-4)
            information = information * (1 - chance) ** 2 / (p * (1 - p))
        return self._interpolate(g)[1], information

    def _interpolate(self, g: Array) -> tuple[Array, Array]:
        """Value and derivative of the tabulated log-likelihoods at g [..., J]."""
        place = np.arccos(1 - 2 * np.clip(g, 0.0, 1.0)) * ((_TABLE_SIZE - 1) / np.pi)
        cell = np.minimum(place.astype(np.intp), _TABLE_SIZE - 2)
        dose = np.arange(len(self.doses))
        low, high = self._levels_K[cell], self._levels_K[cell + 1]
        width = high - low
        t = (g - low) / width
        y0, y1 = self._values_JK[dose, cell], self._values_JK[dose, cell + 1]
        m0, m1 = self._slopes_JK[dose, cell] * width, self._slopes_JK[dose, cell + 1] * width
        rise = y1 - y0
        c2, c3 = 3 * rise - 2 * m0 - m1, m0 + m1 - 2 * rise
        return y0 + t * (m0 + t * (c2 + t * c3)), (m0 + t * (2 * c2 + 3 * t * c3)) / width


def _precision(num_questions: Array, rho: float, sd: float, num_choices: float) -> Array:
    if not num_choices:
        return np.full(len(num_questions), sd**-2)
    return num_questions / (1 + (num_questions - 1) * rho)


def _tabulate(
    values: Array, num_questions: Array, levels_K: Array, num_choices: float, rho: float, sd: float
) -> tuple[Array, Array]:
    """Log-likelihood and its derivative in g at each level, summed over one dose's observations."""
    g = levels_K[:, None]
    if not num_choices:
        residual = (values - g) / sd
        return (-0.5 * residual**2).sum(axis=1), (residual / sd).sum(axis=1)
    chance = 1 / num_choices
    p = np.clip(chance + (1 - chance) * g, 1e-5, 1 - 1e-5)
    size = (1 - rho) / rho
    alpha, beta = p * size, (1 - p) * size
    right, wrong = values, num_questions - values
    value = betaln(right + alpha, wrong + beta) - betaln(alpha, beta)
    slope = size * (digamma(right + alpha) - digamma(wrong + beta) - digamma(alpha) + digamma(beta))
    return value.sum(axis=1), (slope * (1 - chance)).sum(axis=1)


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
