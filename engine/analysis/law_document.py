"""What an analysis has found, put into its documents: curves, collapse points, laws with their checks, predictions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from engine.analysis.collapse import Collapse
from engine.analysis.curves import Curve
from engine.analysis.law import MIN_POINTS_TO_RANK, LawResult, LeftOut, fit_law
from engine.analysis.law import Candidate as FormCandidate
from engine.analysis.law_fit import Law, parameters, residuals
from engine.analysis.law_points import LawPoint, Profile
from engine.analysis.predictions import as_interval, equation, finite, law_band, law_record, prediction_at
from engine.analysis.scatter import Scatter
from engine.analysis.template import template_effect
from engine.errors import FitError
from engine.records.analysis import (
    BandPoint,
    Candidate,
    DosePoint,
    LawDocument,
    LawResidual,
    LeaveOut,
    NamedSize,
    OtherLaw,
    Parameter,
    Prediction,
    RetentionCurve,
    Score,
    SweepLaw,
)
from engine.records.conditions import Condition, LawCondition
from engine.records.plan import Plan
from engine.spec.fact_sets import OVERALL
from engine.spec.models import next_size_up
from engine.spec.numbers import format_count

_NUM_BAND_POINTS = 7
_FEW_SEEDS = 3
_COLLINEAR = 0.98


def curve_record(curve: Curve, scatter: Scatter | None = None) -> RetentionCurve:
    """A retention curve, dose by dose; the scatter knows which runs are dead."""
    points = tuple(_dose_point(curve, frequency, scatter) for frequency in curve.frequencies)
    return RetentionCurve(condition=curve.condition, fact_set=curve.fact_set, points=points)


def _dose_point(curve: Curve, frequency: float, scatter: Scatter | None) -> DosePoint:
    observations = curve.at(frequency)
    retentions = [o.retention for o in observations]
    num = len(observations)
    mean = sum(retentions) / num if observations else None
    squares = sum((r - mean) ** 2 for r in retentions) if mean is not None else 0.0
    return DosePoint(
        frequency=frequency,
        values=tuple(
            Score(
                seed=o.seed,
                retention=o.retention,
                correct=o.correct,
                num_questions=o.num_questions,
                prior_exposures=o.prior_exposures,
                infused_share=o.infused_share,
                is_dead=scatter is not None and o.frequency > 0 and scatter.is_dead(o),
            )
            for o in observations
        ),
        mean=mean,
        sd=math.sqrt(squares / (num - 1)) if num > 1 else None,
        n=num,
        missing=curve.missing.get(frequency, 0),
    )


def law_document(
    plan: Plan,
    fact_set: str,
    curves: Sequence[Curve],
    collapses: Sequence[Collapse],
    notes: Sequence[str],
    warnings: Sequence[str],
    scatter: Scatter | None = None,
) -> LawDocument:
    """Collapse points and the law of each condition; `collapses` are those of the curves, one each."""
    by_condition: dict[LawCondition, list[tuple[Curve, Collapse]]] = {}
    for curve, collapse in zip(curves, collapses, strict=True):
        by_condition.setdefault(curve.condition.law_condition(), []).append((curve, collapse))
    laws, reasons = [], []
    for condition, members in by_condition.items():
        of_curves = [collapse for _, collapse in members]
        result = fit_law(collapse_points(of_curves), declared_form=plan.analysis.law_form)
        if result.law is None:
            reasons.append(_with_condition(result.reason or "", condition, len(by_condition) > 1))
            continue
        laws.append(_sweep_law(result, result.law, condition, of_curves, _design_words([c for c, _ in members])))
    templates = template_effect(curves, collapses, scatter)
    points = tuple(collapse.point for collapse in collapses)
    is_diluted = any(
        p.condition.mixture == "displace" and p.condition.fill == "infused" and p.status == "observed" for p in points
    )
    dilution = (
        "infused text displaces background, so that prior facts are read less often as F grows: run the same sweep "
        'with mixture.fill = "neutral", and kitui compare shows how much of the fall is that dilution'
    )
    return LawDocument(
        sweep=plan.sweep,
        simulated=plan.simulated,
        fact_set=fact_set,
        sizes=named_sizes(plan),
        truth=plan.truth if fact_set == OVERALL.name else (),
        collapse_points=points,
        laws=tuple(laws),
        template_effect=templates.effect,
        warnings=(*warnings, *templates.warnings, *([dilution] if is_diluted else [])),
        notes=tuple(notes),
        reason=None if laws else "; ".join(reasons) or "there are no results yet",
    )


def named_sizes(plan: Plan) -> tuple[NamedSize, ...]:
    """The sizes of a sweep that have names; those of imported tables go by their numbers."""
    names = {cell.num_params: cell.model for cell in plan.cells}
    return tuple(
        NamedSize(num_params=num_params, name=name)
        for num_params, name in sorted(names.items())
        if name not in (f"N={num_params}", format_count(num_params))
    )


def collapse_points(collapses: Iterable[Collapse]) -> list[LawPoint]:
    """What curves that learned something say of F*, whatever their verdict."""
    found = []
    for collapse in collapses:
        profile = collapse.profile
        if profile is not None:
            if collapse.point.status == "left_censored":
                profile = profile.at_most()
            found.append(_law_point(collapse, profile, collapse.point.collapse_frequency))
    return found


def half_drop_points(collapses: Iterable[Collapse]) -> list[LawPoint]:
    """The same of the half-drop: of curves that do not come down so far, it lies beyond."""
    found = []
    for collapse in collapses:
        if collapse.half_drop is not None:
            frequency = collapse.point.half_drop_frequency
            is_bounded = collapse.half_drop.ends_log2[0] is not None
            profile = collapse.half_drop.profile
            is_inside = frequency is not None and is_bounded
            at_most = frequency is not None and not is_bounded
            found.append(
                _law_point(collapse, profile.at_most() if at_most else profile, frequency if is_inside else None)
            )
    return found


def acquisition_points(collapses: Iterable[Collapse]) -> list[LawPoint]:
    """Acquisition frequencies; one that the first tested dose reaches already is censored from above."""
    found = []
    for collapse in collapses:
        if collapse.acquisition is not None:
            profile, frequency = collapse.acquisition.profile, collapse.point.acquisition_frequency
            found.append(_law_point(collapse, profile, frequency if profile.below < -1e-9 else None, ceiling=False))
    return found


def _law_point(collapse: Collapse, profile: Profile, frequency: float | None, *, ceiling: bool = True) -> LawPoint:
    condition = collapse.point.condition
    return LawPoint(
        num_params=condition.num_params,
        num_tokens=condition.num_tokens,
        profile=profile,
        log_frequency=math.log(frequency) if frequency is not None else None,
        ceiling=condition.ceiling_frequency if ceiling else None,
    )


def _sweep_law(
    result: LawResult, law: Law, condition: LawCondition, members: list[Collapse], warnings: list[str]
) -> SweepLaw:
    acquisition = fit_law(acquisition_points(members), what="acquisition frequency", is_checked=False)
    half_drop = fit_law(half_drop_points(members), what="half-drop", is_checked=False)
    conditions = [member.point.condition for member in members]
    is_ranked = law.num_points >= MIN_POINTS_TO_RANK
    next_size = _next_size(result, law, acquisition, condition, conditions)
    return SweepLaw(
        condition=condition,
        form=law.form.name,
        parameters=_parameters(law),
        aicc=finite(law.aicc),
        sigma_log=law.sigma,
        num_points=law.num_points,
        num_censored=law.num_censored,
        equation=equation(law),
        candidates=_candidates(result.candidates, min(c.aicc for c in result.candidates), is_ranked=is_ranked),
        baselines=_candidates(result.baselines, law.aicc, is_ranked=True),
        residuals=tuple(
            LawResidual(condition=_condition_at(conditions, point), residual_ln=residual)
            for point, residual in residuals(law)
        ),
        leave_largest_out=_leave_out(result.leave_largest_out, conditions),
        leave_budget_out=_leave_out(result.leave_budget_out, conditions),
        half_drop=_other_law(half_drop, "F_half"),
        acquisition=_other_law(acquisition, "F_acq"),
        warnings=(*result.warnings, *warnings),
        next_size=next_size,
        band=_band(result, law, conditions, next_size),
        fit=law_record(law),
        other_fits=tuple(map(law_record, result.others)),
    )


def _parameters(law: Law) -> dict[str, Parameter]:
    return {
        name: Parameter(
            value=one.value,
            interval=as_interval(one.interval, is_positive=False),
            identified=None if one.identified is None else as_interval(one.identified, is_positive=False),
        )
        for name, one in parameters(law).items()
    }


def _other_law(result: LawResult, name: str) -> OtherLaw:
    if result.law is None:
        return OtherLaw(fit=None, reason=result.reason)
    return OtherLaw(fit=law_record(result.law), equation=equation(result.law, name), parameters=_parameters(result.law))


def _candidates(found: Iterable[FormCandidate], to: float, *, is_ranked: bool) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(form=c.form, aicc=finite(c.aicc), delta_aicc=finite(c.aicc - to) if is_ranked else None)
        for c in found
    )


def _leave_out(left: LeftOut | None, conditions: list[Condition]) -> LeaveOut | None:
    if left is None:
        return None
    return LeaveOut(
        condition=_condition_at(conditions, left),
        predicted=left.predicted,
        interval=as_interval(left.interval),
        observed=left.observed,
        error_ln=left.error_ln,
        distance=left.distance,
        naive_error_ln=left.naive_error_ln,
    )


def _condition_at(conditions: Iterable[Condition], place: LawPoint | LeftOut) -> Condition:
    """The condition of that size and budget."""
    return next(c for c in conditions if (c.num_params, c.num_tokens) == (place.num_params, place.num_tokens))


def _next_size(
    result: LawResult, law: Law, acquisition: LawResult, condition: LawCondition, conditions: list[Condition]
) -> Prediction | None:
    """The prediction for the next size up: of one budget only."""
    tokens = {c.num_tokens for c in conditions}
    if len(tokens) != 1:
        return None
    num_params, model = next_size_up(max(c.num_params for c in conditions))
    try:
        return prediction_at(
            law,
            acquisition.law,
            others=result.others,
            num_params=num_params,
            num_tokens=next(iter(tokens)),
            condition=condition,
            ceiling=conditions[0].ceiling_frequency,
            acquisition_reason=acquisition.reason,
            model=model,
        )
    except FitError:  # the form needs a ceiling that is not known
        return None


def _band(
    result: LawResult, law: Law, conditions: list[Condition], next_size: Prediction | None
) -> tuple[BandPoint, ...]:
    """The law and its prediction band over all sizes and up to the next one, for drawing: one budget only."""
    if next_size is None or next_size.collapse_frequency is None or next_size.interval is None:
        return ()
    return law_band(
        law,
        result.others,
        num_tokens=conditions[0].num_tokens,
        ceiling=conditions[0].ceiling_frequency,
        ends=(min(c.num_params for c in conditions), next_size.condition.num_params),
        num_points=_NUM_BAND_POINTS,
    )


def _design_words(curves: Sequence[Curve]) -> list[str]:
    """What of the design a prediction hangs on."""
    words = []
    if all(curve.condition.templates == 1 for curve in curves):
        words.append("facts are written in one template: what others would do is not known from this sweep")
    seeds = Counter(o.frequency for curve in curves[:1] for o in curve.observations if o.frequency > 0)
    if seeds and min(seeds.values()) < _FEW_SEEDS:
        words.append(f"{min(seeds.values())} seed(s) a cell: how much seeds scatter is known poorly")
    correlation = _exposures_with_frequency(curves)
    if correlation is not None and abs(correlation) > _COLLINEAR:
        words.append(
            f"exposures of prior facts go with F (correlation {correlation:+.2f}): what is due to one cannot be told "
            "from what is due to the other, and F* holds for this mixture"
        )
    return words


def _exposures_with_frequency(curves: Sequence[Curve]) -> float | None:
    """The correlation of F and prior exposures over the doses of each curve, the least of any; None where exposures
    are not known, or all alike."""
    found = []
    for curve in curves:
        pairs = {(o.frequency, o.prior_exposures) for o in curve.observations if o.prior_exposures is not None}
        frequencies, exposures = np.array(sorted(pairs), dtype=float).reshape(-1, 2).T
        if len(pairs) > 2 and np.ptp(frequencies) > 0 and np.ptp(exposures) > 1e-6 * np.abs(exposures).max():
            found.append(float(np.corrcoef(frequencies, exposures)[0, 1]))
    return min(found, key=abs, default=None)


def _with_condition(reason: str, condition: LawCondition, several: bool) -> str:
    return f"{condition.words()}: {reason}" if several else reason
