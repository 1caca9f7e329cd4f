"""The infusion law: how the collapse point moves with model size N and token budget D.

Every curve that learned something enters, whatever its verdict, by its profile likelihood over (0, ∞]:

    log F*_i = law(N_i, D_i) + ε_i,   ε ~ N(0, σ²),   L_i = ∫ profile_i(u) N(u; law_i, σ²) du,

with the mass beyond the last dose (a collapse not seen) in one lump. Signs of all exponents are free. The scatter σ is
estimated with the restricted likelihood, and predictions carry a t interval: with four sizes, normal intervals claim
far too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_ndtr, logit
from scipy.stats import t as student_t

from engine.analysis.fitting import Profile
from engine.analysis.shape import Array
from engine.errors import FitError
from engine.spec.sweep import MIN_OBSERVED_SIZES

MIN_POINTS_TO_RANK = 6
MIN_SIZES_FOR_OFFSET = 6
_NUM_STARTS, _NUM_CLIMBS = 100, 4
# Scatter under 2 % means nothing, and is finer than the cells that profiles are cut into.
_SMALLEST_SIGMA = 0.02
# N and D are one variable where they are this strongly correlated (designs such as D = 20 N).
_LARGEST_CORRELATION = 0.98

FORMS = ("power", "power N and D", "bounded", "offset")


class LawPoint(NamedTuple):
    """One curve's evidence. `observed` marks a verdict of `observed`; `log_frequency` is then ln F*."""

    num_params: float
    num_tokens: float
    profile: Profile
    log_frequency: float | None
    ceiling: float | None

    @property
    def observed(self) -> bool:
        return self.log_frequency is not None


class Parameter(NamedTuple):
    value: float
    interval: tuple[float, float]


class Law(NamedTuple):
    """A fitted law. `beta` are its coefficients on centred logarithms, `covariance` theirs; `df` the degrees of freedom
    of its t intervals."""

    form: str
    beta: Array
    covariance: Array
    sigma: float
    df: int
    loglik: float
    aicc: float
    centre: tuple[float, float]
    num_points: int
    num_censored: int
    largest_params: float

    def parameters(self) -> dict[str, Parameter]:
        width = float(student_t.ppf(0.975, self.df)) * np.sqrt(np.diag(self.covariance))
        names = {
            "power": ["log_coefficient", "exponent_params"],
            "power N and D": ["log_coefficient", "exponent_params", "exponent_tokens"],
            "bounded": ["logit_share", "slope_params"],
            "offset": ["log_coefficient", "exponent_params", "log_offset"],
        }[self.form]
        return {
            name: Parameter(float(b), (float(b - w), float(b + w)))
            for name, b, w in zip(names, self.beta, width, strict=True)
        }


class Prediction(NamedTuple):
    frequency: float
    interval: tuple[float, float]
    extrapolation: float
    """How many times larger than the largest size fitted."""


class Candidate(NamedTuple):
    form: str
    aicc: float


class LeaveOut(NamedTuple):
    num_params: float
    num_tokens: float
    predicted: float
    interval: tuple[float, float]
    observed: float
    error_ln: float


class LawResult(NamedTuple):
    """The law of one condition, or `reason`: why there is none."""

    law: Law | None
    candidates: tuple[Candidate, ...]
    leave_largest_out: LeaveOut | None
    warnings: tuple[str, ...]
    reason: str | None


def fit_law(
    points: Sequence[LawPoint],
    *,
    declared_form: str = "power",
    what: str = "collapse point",
    leave_largest_out: bool = True,
) -> LawResult:
    """Fit one condition's points, choose the form, and check it by leaving the largest size out."""
    observed = [p for p in points if p.observed]
    sizes = {p.num_params for p in observed}
    if len(sizes) < MIN_OBSERVED_SIZES:
        reason = (
            f"a law needs a {what} observed at {MIN_OBSERVED_SIZES} model sizes or more; "
            f"there {'is' if len(sizes) == 1 else 'are'} {len(sizes)}"
        )
        return LawResult(None, (), None, (), reason)
    warnings: list[str] = []
    allowed = _allowed_forms(points, warnings)
    fitted = {}
    for form in allowed:
        try:
            fitted[form] = _fit_form(points, form)
        except FitError as error:
            warnings.append(f"{form}: {error}")
    chosen = declared_form if declared_form in fitted else "power"
    if declared_form == "bounded" and "bounded" not in fitted:
        warnings.append("the bounded form was asked for, but a ceiling is not known for every point")
    if "power N and D" in fitted and len({p.num_tokens for p in points}) > 1:
        chosen = "power N and D"
    if len(points) >= MIN_POINTS_TO_RANK:
        chosen = min(fitted, key=lambda form: fitted[form].aicc)
    if chosen not in fitted:
        return LawResult(None, (), None, tuple(warnings), f"no form of law could be fitted to these {what}s")
    ranked = sorted(fitted.values(), key=lambda law: law.aicc)
    if len(points) < MIN_POINTS_TO_RANK:
        warnings.append(f"{len(points)} points: the form is taken as given, and the others are not ranked")
    candidates = tuple(Candidate(law.form, law.aicc) for law in ranked)
    left_out = _leave_largest_out(points, chosen) if leave_largest_out else None
    return LawResult(fitted[chosen], candidates, left_out, tuple(warnings), None)


def predict(law: Law, num_params: float, num_tokens: float, ceiling: float | None = None) -> Prediction:
    """F* at one size and budget, with a 95 % t prediction interval for that size's own collapse point."""
    row = _design(law.form, np.array([num_params]), np.array([num_tokens]), law.centre, law.beta)
    mean = float(_mean(law.form, law.beta, row)[0])
    gradient = _mean_gradient(law.form, law.beta, row)[0]
    spread = np.sqrt(float(gradient @ law.covariance @ gradient) + law.sigma**2)
    half = float(student_t.ppf(0.975, law.df)) * spread
    ends = [mean, mean - half, mean + half]
    if law.form == "bounded":
        if ceiling is None:
            raise FitError("the bounded law needs the ceiling at this size and budget.")
        values = [ceiling * float(expit(end)) for end in ends]
    else:
        values = [float(np.exp(np.clip(end, -300, 300))) for end in ends]
    return Prediction(values[0], (values[1], values[2]), num_params / law.largest_params)


def _allowed_forms(points: Sequence[LawPoint], warnings: list[str]) -> list[str]:
    forms = ["power"]
    sizes = np.log([p.num_params for p in points])
    budgets = np.log([p.num_tokens for p in points])
    if np.ptp(budgets) > 0:
        tied = np.ptp(sizes) > 0 and abs(np.corrcoef(sizes, budgets)[0, 1]) > _LARGEST_CORRELATION
        if tied:
            warnings.append("size and token budget rise together: their effects cannot be told apart")
        else:
            forms.append("power N and D")
    if all(p.ceiling for p in points):
        forms.append("bounded")
    if len({p.num_params for p in points if p.observed}) >= MIN_SIZES_FOR_OFFSET:
        forms.append("offset")
    return forms


def _fit_form(points: Sequence[LawPoint], form: str) -> Law:
    sizes = np.array([p.num_params for p in points])
    budgets = np.array([p.num_tokens for p in points])
    centre = (_round_centre(sizes), _round_centre(budgets))
    evidence = _evidence(points, form)
    observed = evidence.peaks[[p.observed for p in points]]
    num_coefficients = {"power": 2, "power N and D": 3, "bounded": 2, "offset": 3}[form]
    df = len(observed) - num_coefficients
    if df < 1:
        raise FitError(f"{len(observed)} observed points cannot carry {num_coefficients} coefficients.")

    def design(beta: Array) -> Array:
        return _design(form, sizes, budgets, centre, beta)

    def negative(parameters: Array) -> tuple[float, Array]:
        beta, log_sigma = parameters[:-1], parameters[-1]
        rows = design(beta)
        values, by_mean, by_log_sigma = _marginals(evidence, _mean(form, beta, rows), float(np.exp(log_sigma)))
        gradient = np.append(by_mean @ _mean_gradient(form, beta, rows), by_log_sigma.sum())
        return -values.sum() / len(points), -gradient / len(points)

    bounds = [(-60.0, 60.0)] + [(-6.0, 6.0)] * (num_coefficients - 1) + [(np.log(_SMALLEST_SIGMA), 2.0)]
    start = np.append(np.zeros(num_coefficients), np.log(max(0.1, float(np.std(observed)))))
    start[0] = np.mean(observed)
    if form == "offset":
        bounds[2] = (-20.0, float(np.max(observed)) + 3)
        start[2] = float(np.min(observed)) - 2
    # The optimum is found from some starts only (Besiroglu et al. 2024 show it for the Chinchilla fit): try many, climb
    # from the best.
    starts = (
        start + np.random.default_rng(0).normal(size=(_NUM_STARTS, len(start))) * (np.arange(_NUM_STARTS) > 0)[:, None]
    )
    starts = np.clip(starts, *np.array(bounds).T)
    means = np.stack([_mean(form, s[:-1], design(s[:-1])) for s in starts])
    heights = _marginals(evidence, means, np.exp(starts[:, -1:]))[0].sum(axis=-1)
    order = np.argsort(-heights)[:_NUM_CLIMBS]
    climbs = [
        minimize(negative, starts[i], jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
        for i in order
    ]
    best = min(climbs, key=lambda result: float(result.fun))
    beta = np.asarray(best.x[:-1])
    loglik = -float(best.fun) * len(points)
    sigma = _restricted_sigma(form, evidence, beta, design(beta), float(np.exp(best.x[-1])))
    covariance = np.asarray(np.linalg.pinv(_information(form, evidence, beta, design(beta), sigma)), dtype=np.float64)
    k = num_coefficients + 1
    spare = len(points) - k - 1
    aicc = 2 * k - 2 * loglik + (2 * k * (k + 1) / spare if spare > 0 else np.inf)
    # A density of ln F* and one of logit(F*/F_max) are measured on different scales: bring the latter to ln F*.
    if form == "bounded":
        aicc -= 2 * float(evidence.log_jacobians[[p.observed for p in points]].sum())
    return Law(
        form=form,
        beta=beta,
        covariance=covariance,
        sigma=sigma,
        df=df,
        loglik=loglik,
        aicc=float(aicc),
        centre=centre,
        num_points=len(points),
        num_censored=len(points) - len(observed),
        largest_params=float(max(p.num_params for p in points)),
    )


def _round_centre(values: Array) -> float:
    """The geometric mean to two digits: what a law's coefficient refers to, and short to read."""
    return float(f"{np.exp(np.log(values).mean()):.2g}")


class _Evidence(NamedTuple):
    """All points' profiles on the law's scale (ln F*, or logit of its share of the ceiling), cut into cells: n points,
    K cells. The outermost cells reach to infinity and hold what lies below the first dose and beyond the last."""

    edges_nK: Array
    loglik_nK: Array
    peaks: Array
    log_jacobians: Array


def _evidence(points: Sequence[LawPoint], form: str) -> _Evidence:
    edges, logliks, peaks, jacobians = [], [], [], []
    for point in points:
        grid, profile = point.profile.log_frequency, point.profile
        peak = point.log_frequency if point.log_frequency is not None else float(grid[-1])
        jacobian = 0.0
        if form == "bounded":
            assert point.ceiling is not None
            grid = logit(np.clip(np.exp(grid - np.log(point.ceiling)), 1e-9, 1 - 1e-6))
            share = float(np.clip(np.exp(peak) / point.ceiling, 1e-9, 1 - 1e-6))
            peak, jacobian = float(logit(share)), -float(np.log(1 - share))  # d logit / d ln F* = 1 / (1 − share)
        middles = (grid[1:] + grid[:-1]) / 2
        edges.append(np.concatenate([[-np.inf], grid[:1], middles, grid[-1:], [np.inf]]))
        logliks.append(np.concatenate([[profile.below], profile.loglik, [profile.beyond]]))
        peaks.append(peak)
        jacobians.append(jacobian)
    return _Evidence(np.stack(edges), np.stack(logliks), np.array(peaks), np.array(jacobians))


def _marginals(evidence: _Evidence, means: Array, sigma: float | Array) -> tuple[Array, Array, Array]:
    """ln ∫ profile(u) N(u; mean, σ²) du of each point, with its derivatives in the mean and in ln σ; `means` [..., n]
    and `sigma` broadcast.

    A profile is taken as constant on each cell, so that the integral over a cell is exact (a difference of normal
    distribution functions) however small σ is.
    """
    sigma = np.asarray(sigma, dtype=float)
    edges = (evidence.edges_nK - means[..., None]) / sigma[..., None]
    terms = evidence.loglik_nK + _log_normal_mass(edges)
    highest = terms.max(axis=-1)
    values = highest + np.log(np.exp(terms - highest[..., None]).sum(axis=-1))
    finite = np.isfinite(edges)
    inner = np.where(finite, edges, 0.0)
    density = np.where(finite, np.exp(-0.5 * inner**2), 0.0) / np.sqrt(2 * np.pi)
    moment = density * inner
    shares = np.exp(evidence.loglik_nK - values[..., None])
    by_mean = (shares * (density[..., :-1] - density[..., 1:])).sum(axis=-1) / sigma
    by_log_sigma = (shares * (moment[..., :-1] - moment[..., 1:])).sum(axis=-1)
    return values, by_mean, by_log_sigma


def _log_normal_mass(edges: Array) -> Array:
    """ln of the normal probability of each cell between neighbouring edges, without cancellation in either tail."""
    below, above = log_ndtr(edges), log_ndtr(-edges)
    right = edges[..., :-1] > 0
    larger = np.where(right, above[..., :-1], below[..., 1:])
    smaller = np.where(right, above[..., 1:], below[..., :-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        mass = larger + np.log1p(-np.exp(smaller - larger))
    return np.asarray(np.where(larger > smaller, mass, -np.inf))


def _restricted_sigma(form: str, evidence: _Evidence, beta: Array, rows: Array, start: float) -> float:
    """σ by restricted likelihood: the likelihood over σ less half the log-determinant of the coefficients' information,
    which with exact points is the usual division by n − p."""

    def score(log_sigma: float) -> float:
        sigma = float(np.exp(log_sigma))
        values, _, _ = _marginals(evidence, _mean(form, beta, rows), sigma)
        sign, logdet = np.linalg.slogdet(_information(form, evidence, beta, rows, sigma))
        return float(values.sum() - 0.5 * logdet) if sign > 0 else -1e300

    coarse = np.linspace(np.log(_SMALLEST_SIGMA), np.log(max(4.0, 4 * start)), 41)
    best = int(np.argmax([score(s) for s in coarse]))
    low, high = coarse[max(best - 1, 0)], coarse[min(best + 1, len(coarse) - 1)]
    refined = minimize_scalar(lambda s: -score(s), bounds=(low, high), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(refined.x))


def _information(form: str, evidence: _Evidence, beta: Array, rows: Array, sigma: float) -> Array:
    """The observed information about the coefficients: the slope in each point's mean of its marginal's derivative."""
    means = _mean(form, beta, rows)
    step = max(_SMALLEST_SIGMA, 0.3 * sigma)
    _, by_mean, _ = _marginals(evidence, means + np.array([[step], [-step]]), sigma)
    curvature = np.maximum(-(by_mean[0] - by_mean[1]) / (2 * step), 0.0)
    gradient = _mean_gradient(form, beta, rows)
    return np.asarray((gradient * curvature[:, None]).T @ gradient)


def _design(form: str, sizes: Array, budgets: Array, centre: tuple[float, float], beta: Array) -> Array:
    x, y = np.log(sizes / centre[0]), np.log(budgets / centre[1])
    ones = np.ones_like(x)
    return np.stack([ones, x, y] if form == "power N and D" else [ones, x], axis=1)


def _mean(form: str, beta: Array, rows: Array) -> Array:
    if form == "offset":  # F* = A·N^α + B
        return np.asarray(np.logaddexp(rows @ beta[:2], beta[2]))
    return np.asarray(rows @ beta)


def _mean_gradient(form: str, beta: Array, rows: Array) -> Array:
    if form != "offset":
        return rows
    share = expit(rows @ beta[:2] - beta[2])
    return np.column_stack([rows * share[:, None], 1 - share])


def _leave_largest_out(points: Sequence[LawPoint], form: str) -> LeaveOut | None:
    """Fit without the largest observed size and predict it; None where too little is left."""
    observed = [p for p in points if p.observed]
    largest = max(p.num_params for p in observed)
    rest = [p for p in points if p.num_params < largest]
    target = max((p for p in observed if p.num_params == largest), key=lambda p: p.num_tokens)
    try:
        law = _fit_form(rest, form)
        predicted = predict(law, target.num_params, target.num_tokens, target.ceiling)
    except (FitError, ValueError):
        return None
    assert target.log_frequency is not None
    actual = float(np.exp(target.log_frequency))
    return LeaveOut(
        num_params=target.num_params,
        num_tokens=target.num_tokens,
        predicted=predicted.frequency,
        interval=predicted.interval,
        observed=actual,
        error_ln=float(np.log(predicted.frequency / actual)),
    )
