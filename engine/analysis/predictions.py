"""A fitted law as a record and back, and what it predicts: the window between acquisition and collapse."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from engine.analysis.forms import FORMS
from engine.analysis.law_fit import Law, predict
from engine.analysis.law_points import LawPoint, Profile
from engine.records.analysis import BandPoint, FittedLaw, FittedPoint, Prediction, TargetCondition
from engine.records.conditions import LawCondition
from engine.records.intervals import Interval
from engine.spec.numbers import format_count


def prediction_at(
    law: Law,
    acquisition: Law | None,
    *,
    others: Sequence[Law] = (),
    num_params: float,
    num_tokens: float,
    condition: LawCondition,
    ceiling: float | None,
    acquisition_reason: str | None,
    model: str | None = None,
) -> Prediction:
    """F* and the recommended frequency at a size and budget. FitError where the law cannot be read there."""
    predicted = predict(law, num_params, num_tokens, ceiling, others)
    acquired = predict(acquisition, num_params, num_tokens) if acquisition else None
    low = predicted.interval[0]
    warnings, recommended, reason = [], None, None
    if acquired is None:
        reason = f"the acquisition frequency is not known at this size ({acquisition_reason})"
    elif low <= 0:
        reason = "the sizes fitted do not bound F* from below at this one"
    elif not math.isfinite(acquired.interval[1]):
        reason = "the sizes fitted do not bound the acquisition frequency at this one"
    elif low <= acquired.interval[1]:
        reason = (
            f"no frequency is safe on both sides: F* may be as low as {low:,.3g}, and acquisition may take as many as "
            f"{acquired.interval[1]:,.3g}"
        )
    else:
        recommended = low
    if predicted.extrapolation > 10:
        warnings.append(f"so far out ({predicted.extrapolation:,.0f} times) no sweep has checked any form of law")
    if ceiling is not None and predicted.frequency > ceiling:
        warnings.append(f"above the ceiling of {ceiling:,.0f}: with this budget the collapse would not be reached")
    return Prediction(
        condition=target_condition(condition, num_params, num_tokens, ceiling),
        collapse_frequency=predicted.frequency,
        interval=as_interval(predicted.interval),
        acquisition_frequency=acquired.frequency if acquired else None,
        acquisition_interval=as_interval(acquired.interval) if acquired else None,
        extrapolation=predicted.extrapolation,
        recommended_frequency=recommended,
        reason=reason,
        warnings=tuple(warnings),
        model=model,
    )


def law_band(
    law: Law,
    others: Sequence[Law],
    *,
    num_tokens: float,
    ceiling: float | None,
    ends: tuple[float, float],
    num_points: int,
) -> tuple[BandPoint, ...]:
    """The law and its prediction interval at so many sizes between these two, evenly in log N: for drawing. FitError as
    of `predict`."""
    low, high = ends
    rows = []
    for i in range(num_points):
        size = low * (high / low) ** (i / (num_points - 1)) if i < num_points - 1 else high
        found = predict(law, size, num_tokens, ceiling, others)
        low_end, high_end = as_interval(found.interval)
        rows.append(BandPoint(num_params=size, collapse_frequency=found.frequency, low=low_end, high=high_end))
    return tuple(rows)


def target_condition(
    condition: LawCondition, num_params: float, num_tokens: float, ceiling: float | None
) -> TargetCondition:
    """The condition predicted for: what all the sweep's runs share, at this size and budget."""
    shared = msgspec.structs.asdict(condition)
    return TargetCondition(**shared, num_params=num_params, num_tokens=num_tokens, ceiling_frequency=ceiling)


def law_record(law: Law) -> FittedLaw:
    """A fitted law as documents keep it."""
    return FittedLaw(
        form=law.form.name,
        beta=tuple(law.beta.tolist()),
        sigma=law.sigma,
        df=law.df,
        loglik=law.loglik,
        aicc=finite(law.aicc),
        centre=law.centre,
        deficit=law.deficit,
        points=tuple(
            FittedPoint(
                num_params=point.num_params,
                num_tokens=point.num_tokens,
                log_frequency=point.log_frequency,
                ceiling_frequency=point.ceiling,
                first=float(point.profile.log_frequency[0]),
                last=float(point.profile.log_frequency[-1]),
                loglik=tuple(np.round(point.profile.loglik, 3).tolist()),
                below=point.profile.below,
                beyond=point.profile.beyond,
            )
            for point in law.points
        ),
    )


def law_of(record: FittedLaw) -> Law:
    """The fitted law that a document keeps."""
    return Law(
        form=FORMS[record.form],
        points=tuple(
            LawPoint(
                point.num_params,
                point.num_tokens,
                Profile(
                    np.linspace(point.first, point.last, len(point.loglik)),
                    np.array(point.loglik),
                    point.below,
                    point.beyond,
                ),
                point.log_frequency,
                point.ceiling_frequency,
            )
            for point in record.points
        ),
        beta=np.array(record.beta),
        sigma=record.sigma,
        df=record.df,
        loglik=record.loglik,
        aicc=math.inf if record.aicc is None else record.aicc,
        centre=record.centre,
        deficit=record.deficit,
    )


def equation(law: Law, name: str = "F*") -> str:
    """The law in words, on the scale people read."""
    size, budget = (format_count(c) for c in law.centre)
    return law.form.equation(law.beta, size, budget, name)


def as_interval(ends: tuple[float, float], *, is_positive: bool = True) -> Interval:
    """Ends as documents have them: None for an open one (of a frequency, zero is open too)."""
    low, high = ends
    return (
        low if math.isfinite(low) and not (is_positive and low <= 0) else None,
        high if math.isfinite(high) else None,
    )


def finite(value: float) -> float | None:
    """The value, or None where JSON has no number for it."""
    return value if math.isfinite(value) else None
