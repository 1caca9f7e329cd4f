"""The collapse point of one retention curve: F*, its interval, the evidence that there is a collapse, and a verdict.

F* is the last frequency at which the fitted curve is at least 90 % of its maximum over the tested positive doses.
A verdict other than `observed` never carries a frequency: absence of evidence is not censoring, and a model that
learned nothing says nothing about F*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

from engine.analysis.curves import Curve
from engine.analysis.fitting import Fit, Profile, acquisition_profile, collapse_profile, fit
from engine.analysis.gate import DosePart, collapse_test
from engine.analysis.scatter import Scatter
from engine.analysis.shape import (
    NUM_PARAMETERS,
    Array,
    Part,
    first_crossing,
    last_crossing,
    shape,
)
from engine.records.analysis import COLLAPSE_SHARE, HALF_SHARE, CollapsePoint, Verdict
from engine.spec.sweep import MIN_DOSES

SIGNIFICANCE = 0.05
SMALLEST_DROP = 1 - COLLAPSE_SHARE
MAX_ERROR_OF_LEARNED = 3.0  # the highest level lies so many standard errors above chance
NEAR_CEILING = 0.95


class Collapse(NamedTuple):
    """What one curve says: its collapse point as it is shown, and the evidence that a law is fitted to."""

    point: CollapsePoint
    learned: bool
    """Whether retention rose clearly above chance at any dose."""
    profile: Profile | None = None
    acquisition_profile: Profile | None = None


def collapse_of(curve: Curve, scatter: Scatter, *, target_retention: float = 0.8) -> Collapse:
    """Analyse one curve with the sweep's pooled scatter between seeds."""
    doses = np.log2(sorted({o.frequency for o in curve.observations if o.frequency > 0}))
    curves = curve.parts or (curve,)
    # One seed is the only one a dose may have: the spread is then borrowed from the rest of the sweep.
    if len(doses) < MIN_DOSES:
        return _insufficient(curve, f"{len(doses)} of at least {MIN_DOSES} positive frequencies have results")
    if scatter.df == 0:
        return _insufficient(curve, "no cell of the sweep has two seeds: the scatter between seeds is unknown")

    parts = [_part(c, doses, scatter) for c in curves]
    by_dose = [[_dose_part(part, j) for part in parts] for j in range(len(doses))]
    dispersion = scatter.dispersion if len(parts) > 1 else 1.0
    test = collapse_test(by_dose, dispersion=dispersion, residual_df=scatter.df)
    fitted = fit(parts, doses)
    at_doses = fitted.at(doses)
    best = int(np.argmax(at_doses))
    top = float(at_doses[best])
    drop = float(1 - at_doses[-1] / top) if top > 0 else 0.0
    means = np.array([np.mean([p.retentions.mean() for p in dose]) for dose in by_dose])
    errors = np.array([np.sqrt(dispersion * sum(p.variance_of_mean() for p in dose)) / len(dose) for dose in by_dose])
    learned = bool((means > MAX_ERROR_OF_LEARNED * errors).any())
    if not learned:
        reason = "nothing was learned: no frequency lifts retention clearly above chance"
        return _insufficient(curve, reason, p_value=test.p_value)

    # Two-sided 95 %: few residual degrees of freedom widen it as they widen a t interval.
    num_observations = sum(len(seeds) for part in parts for seeds in part.seeds_J)
    residual_df = max(1, min(scatter.df, num_observations - NUM_PARAMETERS * len(parts)))
    threshold = 0.5 * float(student_t.ppf(0.975, residual_df)) ** 2
    profile = _softened(collapse_profile(fitted), dispersion)
    crossing = last_crossing(fitted.theta, doses, COLLAPSE_SHARE)
    half = last_crossing(fitted.theta, doses, HALF_SHARE)
    acquisition, acquisition_profile = _acquisition(curves, fitted, target_retention)
    found = test.p_value < SIGNIFICANCE and drop >= SMALLEST_DROP and crossing is not None
    low, high = profile.interval(threshold)
    status, interval, reason = _verdict(
        curve, profile, doses, found=found, best=best, drop=drop, interval=(low, high), p=test.p_value, df=residual_df
    )
    point = CollapsePoint(
        condition=curve.condition,
        status=status,
        collapse_frequency=float(2**crossing) if status == "observed" and crossing is not None else None,
        interval=interval,
        half_drop_frequency=float(2**half) if found and half is not None else None,
        best_frequency=float(round(2 ** doses[best])),
        drop=drop,
        shape="double logistic",
        p_value_no_collapse=test.p_value,
        acquisition_frequency=float(2**acquisition) if acquisition is not None else None,
        acquisition_interval=acquisition_profile.interval(threshold) if acquisition_profile else (None, None),
        reason=reason,
    )
    return Collapse(point, True, profile, acquisition_profile)


def _verdict(
    curve: Curve,
    profile: Profile,
    doses: Array,
    *,
    found: bool,
    best: int,
    drop: float,
    interval: tuple[float | None, float | None],
    p: float,
    df: int,
) -> tuple[Verdict, tuple[float | None, float | None], str]:
    """(status, interval, reason in words), by the rules of the methods, in their order."""
    last = float(2 ** doses[-1])
    if found and best > 0:
        return "observed", interval, f"retention falls by {drop:.0%} from its maximum (p = {p:.3f})"
    if found:
        reason = f"retention is highest at the lowest frequency tested and falls by {drop:.0%}: add lower frequencies"
        return "left_censored", (None, interval[1]), reason
    # The upper 95 % bound of the drop is under 10 % where the likelihood refuses an F* at the last dose, one-sided.
    one_sided = 0.5 * float(student_t.ppf(0.95, df)) ** 2
    if profile.beyond == 0.0 and profile.loglik[-1] < -one_sided:
        ceiling = curve.condition.ceiling_frequency
        if ceiling is not None and last >= NEAR_CEILING * ceiling:
            reason = f"retention still stands at the ceiling of {ceiling:,.0f}"
            return "none_below_ceiling", (last, None), reason
        return (
            "right_censored",
            (last, None),
            f"retention still stands at the last frequency, {last:,.0f}: add higher ones",
        )
    if p < SIGNIFICANCE:
        return "insufficient", (None, None), f"retention falls (p = {p:.3f}), but by less than 10 % or not for good"
    reason = f"neither a collapse (p = {p:.2f}) nor its absence is shown: add seeds, or frequencies near {last:,.0f}"
    return "insufficient", (None, None), reason


def _part(curve: Curve, doses: Array, scatter: Scatter) -> Part:
    observations = [o for o in curve.observations if o.frequency > 0]
    counted = all(o.correct is not None and o.num_questions and o.num_choices for o in observations)
    values = [o.correct if counted else o.retention for o in observations]
    questions = [o.num_questions if counted else 1 for o in observations]
    return Part(
        x=np.log2([float(o.frequency) for o in observations]),
        values=np.array(values, dtype=float),
        num_questions=np.array(questions, dtype=float),
        num_choices=observations[0].num_choices or 0 if counted else 0,
        rho=scatter.rho.get(curve.fact_set, 1e-5),
        sd=max(scatter.sd[curve.fact_set], 1e-6),
        doses=doses,
    )


def _dose_part(part: Part, j: int) -> DosePart:
    return DosePart(part.seeds_J[j], part.num_questions, part.num_choices, part.rho, part.sd)


def _acquisition(curves: Sequence[Curve], fitted: Fit, target: float) -> tuple[float | None, Profile | None]:
    """The least frequency at which infused retention reaches the target (None where it nowhere does), and its profile;
    nothing on curves without an infused part."""
    index = next((i for i, c in enumerate(curves) if c.fact_set == "infused"), None)
    if index is None:
        return None, None
    loglik = float(fitted.parts[index].log_likelihood(shape(fitted.theta[index], fitted.doses)))
    infused = Fit((fitted.parts[index],), fitted.theta[index : index + 1], loglik, fitted.doses)
    return first_crossing(infused.theta, infused.doses, target), acquisition_profile(infused, target)


def _softened(profile: Profile, dispersion: float) -> Profile:
    """What prior and infused have in common makes their joint likelihood too sharp: the quasi-likelihood is softer."""
    return profile._replace(
        loglik=profile.loglik / dispersion, below=profile.below / dispersion, beyond=profile.beyond / dispersion
    )


def _insufficient(curve: Curve, reason: str, *, p_value: float | None = None) -> Collapse:
    point = CollapsePoint(
        condition=curve.condition,
        status="insufficient",
        collapse_frequency=None,
        interval=(None, None),
        half_drop_frequency=None,
        best_frequency=None,
        drop=None,
        shape=None,
        p_value_no_collapse=p_value,
        acquisition_frequency=None,
        reason=reason,
    )
    return Collapse(point, learned=False)
