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
from scipy.special import log_ndtr
from scipy.stats import t as student_t

from engine.analysis.forms import FORMS, LawForm
from engine.analysis.law_points import LawPoint
from engine.analysis.shape import Array
from engine.errors import FitError
from engine.spec.sweep import MIN_OBSERVED_SIZES

MIN_POINTS_TO_RANK = 6
_NUM_STARTS, _NUM_CLIMBS = 100, 4
# Scatter under 2 % means nothing, and is finer than the cells that profiles are cut into.
_SMALLEST_SIGMA = 0.02


class Parameter(NamedTuple):
    """A coefficient and its 95 % interval."""

    value: float
    interval: tuple[float, float]


class Law(NamedTuple):
    """A fitted law. `beta` are its coefficients on centred logarithms, `covariance` theirs; `df` the degrees of freedom
    of its t intervals."""

    form: LawForm
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
        return {
            name: Parameter(float(b), (float(b - w), float(b + w)))
            for name, b, w in zip(self.form.parameters, self.beta, width, strict=True)
        }


class Prediction(NamedTuple):
    """A frequency (exposures of each fact) at a size and budget, and its 95 % prediction interval."""

    frequency: float
    interval: tuple[float, float]
    extrapolation: float
    """How many times larger than the largest size fitted."""


class Candidate(NamedTuple):
    """A form that was fitted, by its name in documents."""

    form: str
    aicc: float


class LeaveOut(NamedTuple):
    """What the law of the other sizes says of the largest one, beside what was found there. Frequencies are
    exposures of each fact; `error_ln` is ln(predicted / observed)."""

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
    fitted: dict[str, Law] = {}
    for name, form in FORMS.items():
        refusal = form.refusal(points)
        if refusal is not None:
            warnings.extend([refusal] if refusal else [])
            continue
        try:
            fitted[name] = _fit_form(points, form)
        except FitError as error:
            warnings.append(f"{name}: {error}")
    chosen = declared_form if declared_form in fitted else "power"
    if declared_form not in fitted:
        needs = FORMS[declared_form].needs
        warnings.append(f"the {declared_form} form was asked for, but cannot be fitted{f': {needs}' if needs else ''}")
    if len({p.num_tokens for p in points}) > 1:
        chosen = next((name for name in fitted if FORMS[name].uses_tokens), chosen)
    if len(points) >= MIN_POINTS_TO_RANK:
        chosen = min(fitted, key=lambda name: fitted[name].aicc)
    if chosen not in fitted:
        return LawResult(None, (), None, tuple(warnings), f"no form of law could be fitted to these {what}s")
    ranked = sorted(fitted.values(), key=lambda law: law.aicc)
    if len(points) < MIN_POINTS_TO_RANK:
        warnings.append(f"{len(points)} points: the form is taken as given, and the others are not ranked")
    candidates = tuple(Candidate(law.form.name, law.aicc) for law in ranked)
    left_out = _leave_largest_out(points, FORMS[chosen]) if leave_largest_out else None
    return LawResult(fitted[chosen], candidates, left_out, tuple(warnings), None)


def predict(law: Law, num_params: float, num_tokens: float, ceiling: float | None = None) -> Prediction:
    """F* at one size and budget, with a 95 % t prediction interval for that size's own collapse point."""
    row = _rows(law.form, np.array([num_params]), np.array([num_tokens]), law.centre)
    mean = float(law.form.mean(law.beta, row)[0])
    gradient = law.form.gradient(law.beta, row)[0]
    spread = np.sqrt(float(gradient @ law.covariance @ gradient) + law.sigma**2)
    half = float(student_t.ppf(0.975, law.df)) * spread
    middle, low, high = (law.form.scale.to_frequency(end, ceiling) for end in (mean, mean - half, mean + half))
    return Prediction(middle, (low, high), num_params / law.largest_params)


def _fit_form(points: Sequence[LawPoint], form: LawForm) -> Law:
    sizes = np.array([p.num_params for p in points])
    budgets = np.array([p.num_tokens for p in points])
    centre = (_round_centre(sizes), _round_centre(budgets))
    evidence = _evidence(points, form)
    observed = evidence.peaks[[p.observed for p in points]]
    num_coefficients = form.num_coefficients
    df = len(observed) - num_coefficients
    if df < 1:
        raise FitError(f"{len(observed)} observed points cannot carry {num_coefficients} coefficients.")

    rows = _rows(form, sizes, budgets, centre)

    def negative(parameters: Array) -> tuple[float, Array]:
        beta, log_sigma = parameters[:-1], parameters[-1]
        values, by_mean, by_log_sigma = _marginals(evidence, form.mean(beta, rows), float(np.exp(log_sigma)))
        gradient = np.append(by_mean @ form.gradient(beta, rows), by_log_sigma.sum())
        return -values.sum() / len(points), -gradient / len(points)

    bounds = [*form.bounds(observed, num_coefficients), (float(np.log(_SMALLEST_SIGMA)), 2.0)]
    start = np.append(form.start(observed, num_coefficients), np.log(max(0.1, float(np.std(observed)))))
    # The optimum is found from some starts only (Besiroglu et al. 2024 show it for the Chinchilla fit): try many, climb
    # from the best.
    starts = (
        start + np.random.default_rng(0).normal(size=(_NUM_STARTS, len(start))) * (np.arange(_NUM_STARTS) > 0)[:, None]
    )
    starts = np.clip(starts, *np.array(bounds).T)
    means = np.stack([form.mean(s[:-1], rows) for s in starts])
    heights = _marginals(evidence, means, np.exp(starts[:, -1:]))[0].sum(axis=-1)
    order = np.argsort(-heights)[:_NUM_CLIMBS]
    climbs = [
        minimize(negative, starts[i], jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
        for i in order
    ]
    best = min(climbs, key=lambda result: float(result.fun))
    beta = np.asarray(best.x[:-1])
    loglik = -float(best.fun) * len(points)
    sigma = _restricted_sigma(form, evidence, beta, rows, float(np.exp(best.x[-1])))
    covariance = np.asarray(np.linalg.pinv(_information(form, evidence, beta, rows, sigma)), dtype=np.float64)
    k = num_coefficients + 1
    spare = len(points) - k - 1
    aicc = 2 * k - 2 * loglik + (2 * k * (k + 1) / spare if spare > 0 else np.inf)
    # Densities on different scales are not comparable: bring them all to ln F*.
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


def _evidence(points: Sequence[LawPoint], form: LawForm) -> _Evidence:
    edges, logliks, peaks, jacobians = [], [], [], []
    for point in points:
        profile = point.profile
        log_peak = point.log_frequency if point.log_frequency is not None else float(profile.log_frequency[-1])
        grid = form.scale.of_log_frequency(profile.log_frequency, point.ceiling)
        middles = (grid[1:] + grid[:-1]) / 2
        edges.append(np.concatenate([[-np.inf], grid[:1], middles, grid[-1:], [np.inf]]))
        logliks.append(np.concatenate([[profile.below], profile.loglik, [profile.beyond]]))
        peaks.append(float(form.scale.of_log_frequency(np.array([log_peak]), point.ceiling)[0]))
        jacobians.append(form.scale.log_jacobian(log_peak, point.ceiling))
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


def _restricted_sigma(form: LawForm, evidence: _Evidence, beta: Array, rows: Array, start: float) -> float:
    """σ by restricted likelihood: the likelihood over σ less half the log-determinant of the coefficients' information,
    which with exact points is the usual division by n − p."""

    def score(log_sigma: float) -> float:
        sigma = float(np.exp(log_sigma))
        values, _, _ = _marginals(evidence, form.mean(beta, rows), sigma)
        sign, logdet = np.linalg.slogdet(_information(form, evidence, beta, rows, sigma))
        return float(values.sum() - 0.5 * logdet) if sign > 0 else -1e300

    coarse = np.linspace(np.log(_SMALLEST_SIGMA), np.log(max(4.0, 4 * start)), 41)
    best = int(np.argmax([score(s) for s in coarse]))
    low, high = coarse[max(best - 1, 0)], coarse[min(best + 1, len(coarse) - 1)]
    refined = minimize_scalar(lambda s: -score(s), bounds=(low, high), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(refined.x))


def _information(form: LawForm, evidence: _Evidence, beta: Array, rows: Array, sigma: float) -> Array:
    """The observed information about the coefficients: the slope in each point's mean of its marginal's derivative."""
    means = form.mean(beta, rows)
    step = max(_SMALLEST_SIGMA, 0.3 * sigma)
    _, by_mean, _ = _marginals(evidence, means + np.array([[step], [-step]]), sigma)
    curvature = np.maximum(-(by_mean[0] - by_mean[1]) / (2 * step), 0.0)
    gradient = form.gradient(beta, rows)
    return np.asarray((gradient * curvature[:, None]).T @ gradient)


def _rows(form: LawForm, sizes: Array, budgets: Array, centre: tuple[float, float]) -> Array:
    return form.design(np.log(sizes / centre[0]), np.log(budgets / centre[1]))


def _leave_largest_out(points: Sequence[LawPoint], form: LawForm) -> LeaveOut | None:
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
