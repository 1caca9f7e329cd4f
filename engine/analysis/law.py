"""The infusion law: how the collapse point moves with model size N and token budget D.

Every curve that learned something enters, whatever its verdict, by its profile likelihood over (0, ∞]:

    log F*_i = law(N_i, D_i) + ε_i,   ε ~ N(0, σ²),   L_i = ∫ profile_i(u) N(u; law_i, σ²) du,

with the mass beyond the last dose (a collapse not seen) in one lump. Signs of all exponents are free. Forms are
compared by that likelihood, which does not depend on their scale, and held against having no law at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from engine.analysis.forms import BASELINES, FORMS
from engine.analysis.law_fit import Law, fit_form, predict
from engine.analysis.law_points import LawPoint
from engine.errors import FitError
from engine.spec.sweep import MIN_OBSERVED_SIZES

MIN_POINTS_TO_RANK = 6
PLAIN_DIFFERENCE = 2.0
"""Of AICc: forms that differ by less are tied."""
FAR_DIFFERENCE = 12.0
"""Of AICc: a form that is so much worse says nothing any more."""


class Candidate(NamedTuple):
    """A form that was fitted, by its name in documents."""

    form: str
    aicc: float


class LeftOut(NamedTuple):
    """What the law of other points says of those left out, beside what was found there. Frequencies are exposures of
    each fact; `error_ln` is ln(predicted / observed); `distance` how many times larger the size (or budget) is than the
    largest that is left; `naive_error_ln` the error of the baseline, F* of the largest size that is left."""

    num_params: float
    num_tokens: float
    predicted: float
    interval: tuple[float, float]
    observed: float
    error_ln: float
    distance: float
    naive_error_ln: float


class LawResult(NamedTuple):
    """The law of one condition, or `reason`: why there is none."""

    law: Law | None
    others: tuple[Law, ...] = ()
    """Forms that fit nearly as well: a prediction reaches as far as they do."""
    candidates: tuple[Candidate, ...] = ()
    baselines: tuple[Candidate, ...] = ()
    leave_largest_out: LeftOut | None = None
    leave_budget_out: LeftOut | None = None
    warnings: tuple[str, ...] = ()
    reason: str | None = None


def fit_law(
    points: Sequence[LawPoint],
    *,
    declared_form: str = "power",
    what: str = "collapse point",
    is_checked: bool = True,
) -> LawResult:
    """Fit one condition's points, choose the form, and check it by leaving the far ends out."""
    sizes = {p.num_params for p in points if p.observed}
    if len(sizes) < MIN_OBSERVED_SIZES:
        article = "an" if what[0] in "aeiou" else "a"
        reason = (
            f"a law needs {article} {what} observed at {MIN_OBSERVED_SIZES} model sizes or more; "
            f"there {'is' if len(sizes) == 1 else 'are'} {len(sizes)}"
        )
        return LawResult(None, reason=reason)
    warnings: list[str] = []
    fitted: dict[str, Law] = {}
    for name, form in FORMS.items():
        refusal = form.refusal(points)
        if refusal is not None:
            warnings.extend([refusal] if refusal else [])
            continue
        try:
            fitted[name] = fit_form(points, form)
        except FitError as error:
            warnings.append(f"{name}: {error}")
    law = _chosen(points, fitted, declared_form, warnings)
    if law is None:
        return LawResult(None, warnings=tuple(warnings), reason=f"no form of law could be fitted to these {what}s")
    baselines = [fit_form(points, form) for form in BASELINES if form.refusal(points) is None]
    warnings.extend(_baseline_words(law, baselines))
    is_ranked = len(points) >= MIN_POINTS_TO_RANK
    others = [
        one._replace(deficit=max(0.0, one.aicc - law.aicc) / 2)
        for one in fitted.values()
        if is_ranked and one is not law and one.aicc < law.aicc + FAR_DIFFERENCE
    ]
    return LawResult(
        law,
        tuple(others),
        _candidates(fitted.values()),
        _candidates(baselines),
        _left_out(points, law, by_size=True) if is_checked else None,
        _left_out(points, law, by_size=False) if is_checked else None,
        tuple(warnings),
    )


def _chosen(points: Sequence[LawPoint], fitted: dict[str, Law], declared: str, warnings: list[str]) -> Law | None:
    """The law to report: with few points of the declared form, from six on of the best; of tied ones the first."""
    usual = declared if declared in fitted else "power"
    if declared not in fitted:
        needs = FORMS[declared].needs
        warnings.append(f"the {declared} form was asked for, but cannot be fitted{f': {needs}' if needs else ''}")
    with_tokens = next((name for name in fitted if FORMS[name].uses_tokens), None)
    if len({p.num_tokens for p in points}) > 1 and with_tokens is not None and with_tokens != usual:
        warnings.append(f"there are several token budgets: the form is {with_tokens}, not {usual}")
        usual = with_tokens
    if len(points) < MIN_POINTS_TO_RANK:
        warnings.append(f"{len(points)} points: the form is taken as given, and the others are not ranked")
        return fitted.get(usual)
    if not fitted:
        return None
    least = min(law.aicc for law in fitted.values())
    order = sorted(fitted, key=lambda name: name != usual)  # of those as good as the best, what was declared
    chosen = next((name for name in order if fitted[name].aicc <= least + PLAIN_DIFFERENCE), usual)
    tied = [name for name in fitted if name != chosen and fitted[name].aicc <= least + PLAIN_DIFFERENCE]
    if tied:
        warnings.append(
            f"{' and '.join([chosen, *tied])} fit about equally well, and may differ beyond the sizes fitted"
        )
    return fitted[chosen]


def _candidates(laws: Iterable[Law]) -> tuple[Candidate, ...]:
    ranked = sorted(laws, key=lambda law: law.aicc)
    return tuple(Candidate(law.form.name, law.aicc) for law in ranked)


def _baseline_words(law: Law, baselines: Sequence[Law]) -> list[str]:
    """Where having no law is as good, that is said: by AICc, or, of points too few for that, by the likelihood that the
    intervals of a law are made of."""
    if law.num_points < MIN_POINTS_TO_RANK:
        likeliest = max(baselines, key=lambda one: one.loglik)
        if law.loglik - likeliest.loglik >= law.threshold:
            return []
        return [f"no dependence on size was found: {likeliest.form.name} is likely enough for these points"]
    best = min(baselines, key=lambda one: one.aicc)
    difference = best.aicc - law.aicc
    if difference >= PLAIN_DIFFERENCE:
        return []
    return [
        f"no dependence on size was found: {best.form.name} describes these points as well (its AICc is "
        f"{abs(difference):.1f} {'higher' if difference > 0 else 'lower'})"
    ]


def _left_out(points: Sequence[LawPoint], law: Law, *, by_size: bool) -> LeftOut | None:
    """Fit without the largest observed size (or budget) and predict it; None where too little is left."""

    def extent(point: LawPoint) -> float:
        return point.num_params if by_size else point.num_tokens

    observed = [p for p in points if p.observed]
    largest = max(map(extent, observed))
    rest = [p for p in points if extent(p) < largest]
    target = max((p for p in observed if extent(p) == largest), key=lambda p: (p.num_tokens, p.num_params))
    known = [p for p in rest if p.observed]
    if len({p.num_params for p in known}) < MIN_OBSERVED_SIZES - 1 or (not by_size and not law.form.uses_tokens):
        return None
    try:
        predicted = predict(fit_form(rest, law.form), target.num_params, target.num_tokens, target.ceiling)
    except (FitError, ValueError):
        return None
    naive = max(known, key=lambda p: (extent(p), p.num_params))
    assert target.log_frequency is not None
    assert naive.log_frequency is not None
    return LeftOut(
        num_params=target.num_params,
        num_tokens=target.num_tokens,
        predicted=predicted.frequency,
        interval=predicted.interval,
        observed=float(np.exp(target.log_frequency)),
        error_ln=float(np.log(predicted.frequency) - target.log_frequency),
        distance=largest / max(map(extent, rest)),
        naive_error_ln=naive.log_frequency - target.log_frequency,
    )
