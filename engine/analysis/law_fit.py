"""One form of law fitted to points, and what it says: parameters and predictions with intervals.

Intervals are by profile likelihood: of a parameter, or of the law's mean at a size, all values that some law of the
form, with any scatter, makes likely enough. Where points are exact these are the t intervals of linear regression, for
the threshold is (n / 2) · ln(1 + t² / df) with n the number of observed points; where points are censored or flat they
hold as well, which a covariance does not. A prediction adds the scatter of a size's own frequency around the mean, as
t intervals do: to each half the square of t · σ. Scatter smaller than the points' own errors cannot be told from none:
so a prediction is of what a sweep at that size would find, such an error included.

Shape suffixes: n points, k coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.stats import t as student_t

from engine.analysis.evidence import Evidence, evidence_of, marginals
from engine.analysis.forms import LawForm
from engine.analysis.forms.base import linear_mean
from engine.analysis.law_points import LawPoint
from engine.analysis.likelihood import Array
from engine.errors import FitError

_NUM_STARTS, _NUM_CLIMBS = 100, 2
# Scatter under 2 % means nothing, and is finer than the cells that profiles are cut into.
_SMALLEST_SIGMA = 0.02
_LARGEST_LOG_SIGMA = 2.0
_WIDE_SIGMA = 0.7
_SMALLEST_STEP = 0.02
_FARTHEST = 30.0
"""An end of an interval that lies farther from its estimate (in ln F, or in exponents) is open: nobody knows it."""
_TOLERANCE = {"ftol": 1e-8, "gtol": 1e-5, "maxiter": 60}
_HELD_TOLERANCE = {"ftol": 1e-6, "gtol": 1e-3}
"""Of held fits only the height counts, to the thousandths of a log-likelihood."""
_HELD = 0.01
"""How closely (in ln F) a mean is held that is no coefficient."""
_FLAT = 0.02
"""A law within so little log-likelihood of the best is as good."""


class Parameter(NamedTuple):
    """A coefficient and its 95 % interval, open where an end is infinite. `identified`: all values that fit equally
    well, where that is more than one."""

    value: float
    interval: tuple[float, float]
    identified: tuple[float, float] | None = None


class Law(NamedTuple):
    """A fitted law. `beta` are its coefficients on centred logarithms; `sigma` the scatter of points around it; `df`
    the degrees of freedom of its intervals."""

    form: LawForm
    points: tuple[LawPoint, ...]
    beta: Array
    sigma: float
    df: int
    loglik: float
    aicc: float
    centre: tuple[float, float]
    deficit: float = 0.0
    """Half of how far its AICc lies above that of the law that was chosen: what its likelihood is lowered by."""

    @property
    def num_points(self) -> int:
        return len(self.points)

    @property
    def threshold(self) -> float:
        """The drop in log-likelihood at the ends of a 95 % interval."""
        return self.num_points / 2 * float(np.log1p(student_t.ppf(0.975, self.df) ** 2 / self.df))

    @property
    def num_censored(self) -> int:
        return sum(not p.observed for p in self.points)

    @property
    def largest_params(self) -> float:
        return float(max(p.num_params for p in self.points))


class Prediction(NamedTuple):
    """A frequency (exposures of each fact) at a size and budget, and its 95 % prediction interval."""

    frequency: float
    interval: tuple[float, float]
    extrapolation: float
    """How many times larger than the largest size fitted."""


def fit_form(points: Sequence[LawPoint], form: LawForm, start: Array | None = None) -> Law:
    """The law of this form that makes the points likeliest. `start`: coefficients to begin from, where a law of fewer
    points is known; many starts without. FitError where the points cannot carry it."""
    centre = (_round_centre([p.num_params for p in points]), _round_centre([p.num_tokens for p in points]))
    problem = _Problem(evidence_of(points, form), form, _rows(form, points, centre))
    observed = problem.evidence.peaks[[p.observed for p in points]]
    df = len(points) - form.num_coefficients
    if len(observed) <= form.num_coefficients:
        raise FitError(f"{len(observed)} observed points cannot carry {form.num_coefficients} coefficients.")
    best = problem.climb(_first_starts(problem, form, observed) if start is None else [start])
    k, spare = form.num_coefficients + 1, len(points) - form.num_coefficients - 2
    aicc = 2 * k - 2 * best.loglik + (2 * k * (k + 1) / spare if spare > 0 else np.inf)
    beta = best.theta[:-1]
    sigma = _restricted_sigma(problem, beta, float(np.exp(best.theta[-1])))
    return Law(form, tuple(points), beta, sigma, df, best.loglik, float(aicc), centre)


def parameters(law: Law) -> dict[str, Parameter]:
    """Its coefficients with their intervals, by name."""
    problem, best = _of(law)
    found = {}
    for index, name in enumerate(law.form.parameters):

        def drop(value: float, index: int = index) -> float:
            return best.loglik - problem.climb([best.theta], fixed={index: value}).loglik

        value = float(best.theta[index])
        interval = _ends(drop, value, law.threshold)
        flat = _ends(drop, value, _FLAT)
        is_flat = flat[1] - flat[0] > 0.25 * (interval[1] - interval[0])
        middle = sum(flat) / 2 if is_flat and np.isfinite(flat).all() else value
        found[name] = Parameter(float(middle), interval, flat if is_flat else None)
    return found


def residuals(law: Law) -> list[tuple[LawPoint, float]]:
    """Each observed point, and its ln F* less that of the law."""
    means = law.form.mean(law.beta, _rows(law.form, law.points, law.centre))
    found = []
    for point, mean in zip(law.points, means, strict=True):
        if point.log_frequency is not None:
            expected = law.form.scale.to_frequency(float(mean), point.ceiling)
            found.append((point, point.log_frequency - float(np.log(expected))))
    return found


def predict(
    law: Law, num_params: float, num_tokens: float, ceiling: float | None = None, others: Sequence[Law] = ()
) -> Prediction:
    """F* at one size and budget, with a 95 % prediction interval for that size's own collapse point: all that the law
    or one of the `others`, forms that fit nearly as well, makes likely enough. FitError where the law cannot be read
    there."""
    middle, low, high = _predicted(law, num_params, num_tokens, ceiling)
    for other in others:
        if other.deficit < other.threshold:
            _, other_low, other_high = _predicted(other, num_params, num_tokens, ceiling)
            low, high = min(low, other_low), max(high, other_high)
    return Prediction(middle, (low, high), num_params / law.largest_params)


def _predicted(law: Law, num_params: float, num_tokens: float, ceiling: float | None) -> tuple[float, float, float]:
    """The law's frequency there, and the ends of its interval."""
    law = recentred(law, (num_params, num_tokens))
    problem, best = _of(law)
    row = law.form.design(np.zeros(1), np.zeros(1))
    mean = float(law.form.mean(best.theta[:-1], row)[0])

    def drop(value: float) -> float:
        return best.loglik - problem.climb([best.theta], mean_at=(row, value)).loglik

    low, high = _ends(drop, mean, law.threshold - law.deficit, step=law.sigma)
    spread = np.hypot(law.sigma, _typical_error(problem.evidence, [p.observed for p in law.points]))
    scatter = float(student_t.ppf(0.975, law.df)) * spread * np.sqrt(1 - law.deficit / law.threshold)
    low, high = mean - np.hypot(mean - low, scatter), mean + np.hypot(high - mean, scatter)
    to_frequency = law.form.scale.to_frequency
    return to_frequency(mean, ceiling), to_frequency(low, ceiling), to_frequency(high, ceiling)


def recentred(law: Law, centre: tuple[float, float]) -> Law:
    """The same law, its level at another size and budget."""
    x, y = np.log(centre[0] / law.centre[0]), np.log(centre[1] / law.centre[1])
    at, there = (law.form.design(np.array([a]), np.array([b]))[0] for a, b in ((0.0, 0.0), (x, y)))
    beta = law.beta.copy()
    beta[0] += float((there - at) @ law.beta[: len(at)])
    return law._replace(beta=beta, centre=centre)


class _Best(NamedTuple):
    theta: Array
    """Coefficients and ln σ."""
    loglik: float


class _Problem(NamedTuple):
    """Points on a form's scale, with their rows of the design."""

    evidence: Evidence
    form: LawForm
    rows_nk: Array

    def climb(
        self, starts: Sequence[Array], fixed: dict[int, float] | None = None, mean_at: tuple[Array, float] | None = None
    ) -> _Best:
        """The likeliest coefficients and scatter, with some of them held, or with the mean held at a row of the design
        (where that is the level itself, as a coefficient; else by a penalty)."""
        fixed = fixed or {}
        if mean_at is not None and self.form.mean is linear_mean:
            fixed, mean_at = fixed | {0: mean_at[1]}, None
        num = self.form.num_coefficients + 1
        free = [i for i in range(num) if i not in fixed]
        whole = np.zeros(num)
        whole[list(fixed)] = list(fixed.values())

        def negative(values: Array) -> tuple[float, Array]:
            whole[free] = values
            beta, sigma = whole[:-1], float(np.exp(whole[-1]))
            each, by_mean, by_log_sigma = marginals(self.evidence, self.form.mean(beta, self.rows_nk), sigma)
            value, gradient = each.sum(), by_mean @ self.form.gradient(beta, self.rows_nk)
            if mean_at is not None:
                residual = (mean_at[1] - float(self.form.mean(beta, mean_at[0])[0])) / _HELD
                value += -0.5 * residual**2
                gradient = gradient + residual / _HELD * self.form.gradient(beta, mean_at[0])[0]
            return -value, -np.append(gradient, by_log_sigma.sum())[free]

        limits = [
            *self.form.bounds(self.evidence.peaks, self.form.num_coefficients),
            (float(np.log(_SMALLEST_SIGMA)), _LARGEST_LOG_SIGMA),
        ]
        bounds = [limits[i] for i in free]
        # With little scatter, points far from the mean are all equally unlikely, and no slope leads back to them: climb
        # from a wide scatter; the best of all laws is looked for from a narrow one too.
        wide = [np.append(start[:-1], np.log(_WIDE_SIGMA)) for start in starts]
        is_held = bool(fixed) or mean_at is not None
        climbs = [
            minimize(
                negative,
                np.clip(start[free], *np.array(bounds).T),
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options=_HELD_TOLERANCE if is_held else _TOLERANCE,
            )
            for start in (wide if is_held else (*starts, *wide))
        ]
        best = min(climbs, key=lambda result: float(result.fun))
        theta = whole.copy()
        theta[free] = best.x
        return _Best(theta, -float(best.fun))


def _of(law: Law) -> tuple[_Problem, _Best]:
    problem = _Problem(evidence_of(law.points, law.form), law.form, _rows(law.form, law.points, law.centre))
    return problem, _Best(np.append(law.beta, np.log(max(law.sigma, _SMALLEST_SIGMA))), law.loglik)


def _first_starts(problem: _Problem, form: LawForm, observed: Array) -> list[Array]:
    """The optimum is found from some starts only (Besiroglu et al. 2024 show it for the Chinchilla fit): look at many,
    climb from the best."""
    start = np.append(form.start(observed, form.num_coefficients), np.log(max(0.1, float(np.std(observed)))))
    spread = np.random.default_rng(0).normal(size=(_NUM_STARTS, len(start)))
    spread[0] = 0.0
    starts = start + spread
    means = np.stack([form.mean(s[:-1], problem.rows_nk) for s in starts])
    sigmas = np.exp(np.clip(starts[:, -1:], np.log(_SMALLEST_SIGMA), _LARGEST_LOG_SIGMA))
    heights = marginals(problem.evidence, means, sigmas)[0].sum(axis=-1)
    return [starts[i] for i in np.argsort(-heights)[:_NUM_CLIMBS]]


def _ends(
    drop: Callable[[float], float], value: float, threshold: float, step: float = _SMALLEST_STEP
) -> tuple[float, float]:
    """Where `drop` comes to the threshold on both sides; infinite where it does not. The root of a drop is about linear
    in the distance: its line is followed outwards, and its crossing looked for."""
    ends = []
    for side in (-1, 1):

        @cache
        def above(distance: float, side: int = side) -> float:
            """How far the root lies above the threshold's; at the best place itself, all of that below."""
            root = np.sqrt(max(drop(value + side * distance), 0.0)) if distance else 0.0
            return float(root - np.sqrt(threshold))

        near, far = 0.0, min(max(step, _SMALLEST_STEP), _FARTHEST)
        while (missing := above(far)) < 0 and far < _FARTHEST:
            root = missing + np.sqrt(threshold)
            growth = float(np.clip(1.3 * np.sqrt(threshold) / max(root, 1e-9), 1.5, 8.0))
            near, far = far, min(far * growth, _FARTHEST)
        if above(far) < 0:
            ends.append(side * np.inf)
        else:
            ends.append(value + side * float(brentq(above, near, far, xtol=1e-3, rtol=5e-3)))
    return ends[0], ends[1]


def _typical_error(evidence: Evidence, is_observed: Sequence[bool]) -> float:
    """The median standard deviation of the observed points' profiles, as if each were a density."""
    edges, likelihood = evidence.edges_nK[is_observed][:, 1:-1], evidence.likelihood_nK[is_observed][:, 1:-1]
    middles, weights = (edges[:, 1:] + edges[:, :-1]) / 2, likelihood * np.diff(edges)
    weights = weights / weights.sum(axis=1, keepdims=True)
    means = (weights * middles).sum(axis=1, keepdims=True)
    return float(np.median(np.sqrt((weights * (middles - means) ** 2).sum(axis=1))))


def _restricted_sigma(problem: _Problem, beta: Array, start: float) -> float:
    """σ by restricted likelihood: the likelihood over σ less half the log-determinant of the coefficients' information,
    which with exact points is the usual division by n − p."""

    def score(log_sigma: float) -> float:
        sigma = float(np.exp(log_sigma))
        values, _, _ = marginals(problem.evidence, problem.form.mean(beta, problem.rows_nk), sigma)
        sign, logdet = np.linalg.slogdet(_information(problem, beta, sigma))
        return float(values.sum() - 0.5 * logdet) if sign > 0 else -1e300

    coarse = np.linspace(np.log(_SMALLEST_SIGMA), np.log(max(4.0, 4 * start)), 15)
    best = int(np.argmax([score(s) for s in coarse]))
    low, high = coarse[max(best - 1, 0)], coarse[min(best + 1, len(coarse) - 1)]
    refined = minimize_scalar(lambda s: -score(s), bounds=(low, high), method="bounded", options={"xatol": 1e-2})
    return float(np.exp(refined.x))


def _information(problem: _Problem, beta: Array, sigma: float) -> Array:
    """The observed information about the coefficients: the slope in each point's mean of its marginal's derivative."""
    means = problem.form.mean(beta, problem.rows_nk)
    step = max(_SMALLEST_SIGMA, 0.3 * sigma)
    _, by_mean, _ = marginals(problem.evidence, means + np.array([[step], [-step]]), sigma)
    curvature = np.maximum(-(by_mean[0] - by_mean[1]) / (2 * step), 0.0)
    gradient = problem.form.gradient(beta, problem.rows_nk)
    return np.asarray((gradient * curvature[:, None]).T @ gradient)


def _round_centre(values: Sequence[float]) -> float:
    """The geometric mean to two digits: what a law's coefficient refers to, and short to read."""
    return float(f"{np.exp(np.log(values).mean()):.2g}")


def _rows(form: LawForm, points: Sequence[LawPoint], centre: tuple[float, float]) -> Array:
    sizes, budgets = np.array([p.num_params for p in points]), np.array([p.num_tokens for p in points])
    return form.design(np.log(sizes / centre[0]), np.log(budgets / centre[1]))
