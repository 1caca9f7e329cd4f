"""`kitui predict`: the collapse point and the frequency to use at a size too big to sweep."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.errors import FitError, SpecError
from engine.records.analysis import BandPoint, LockedName, Prediction, PredictionDocument, SweepLaw, TargetCondition
from engine.records.conditions import Condition
from engine.records.workspace import Workspace
from engine.spec.models import PRESETS
from engine.spec.numbers import LARGEST_COUNT, format_count, parse_number
from kitui.services.conditions import condition_filter
from kitui.services.engine_commands import Report, analysis
from kitui.services.locked import lock_prediction

_NUM_BAND_POINTS = 13


def predict(
    workspace: Workspace,
    sweep: str,
    *,
    params: str,
    tokens: str | None,
    target_retention: float | None = None,
    fact_set: str = "overall",
    where: str | None = None,
    is_locked: bool = False,
    report: Report | None = None,
) -> PredictionDocument:
    """Without a law there is no frequency, and `reason` says why. SpecError for a size, budget, target or condition
    that is not understood. `is_locked`: keep it, to be scored when that size is trained."""
    size = float(PRESETS[params].num_params) if params in PRESETS else _count(params, "--params")
    if target_retention is not None and not 0 < target_retention < 1:
        raise SpecError("expected a retention between 0 and 1.", key="--target-retention", value=target_retention)
    document = analysis(workspace, sweep, fact_set, target_retention=target_retention, report=report)
    law, name = document.law, None
    band: tuple[BandPoint, ...] = ()
    if not law.laws:
        prediction = _refusal(size, _count(tokens, "--tokens") if tokens else None, law.reason)
    else:
        one = _choose(law.laws, where)
        members = [p.condition for p in law.collapse_points if p.condition.law_condition() == one.condition]
        prediction = _predict(one, members, size, tokens)
        if params in PRESETS:  # the size of that name, whose number is not so round
            prediction = msgspec.structs.replace(prediction, model=params)
        band = _band(one, members, prediction)
        if is_locked and prediction.collapse_frequency is not None:
            locked = lock_prediction(workspace, document, one, prediction)
            name = LockedName(id=locked.id, locked_at=locked.locked_at)
    values = msgspec.structs.asdict(prediction)
    return PredictionDocument(sweep=law.sweep, simulated=law.simulated, locked=name, band=band, **values)


def _predict(one: SweepLaw, members: Sequence[Condition], size: float, tokens: str | None) -> Prediction:
    from engine.analysis.forms import FORMS  # SciPy takes a second
    from engine.analysis.predictions import law_of, prediction_at

    budgets = sorted({c.num_tokens for c in members})
    if tokens is None and len(budgets) > 1:
        choices = ", ".join(format_count(b) for b in budgets)
        raise SpecError("the sweep has several token budgets.", key="--tokens", mend=f"Give one, such as {choices}.")
    budget = _count(tokens, "--tokens") if tokens else float(budgets[0])
    if not FORMS[one.form].uses_tokens and budget not in budgets:
        known = ", ".join(map(format_count, budgets))
        return _refusal(size, budget, f"runs have D = {known}: the law says nothing of other budgets")
    try:
        found = prediction_at(
            law_of(one.fit),
            law_of(one.acquisition.fit) if one.acquisition.fit else None,
            others=[law_of(other) for other in one.other_fits],
            num_params=size,
            num_tokens=budget,
            condition=one.condition,
            ceiling=next((c.ceiling_frequency for c in members if c.num_tokens == budget), None),
            acquisition_reason=one.acquisition.reason,
        )
    except FitError as error:
        return _refusal(size, budget, str(error))
    # What speaks against the law speaks against what it predicts.
    return msgspec.structs.replace(found, warnings=(*found.warnings, *one.warnings))


def _band(one: SweepLaw, members: Sequence[Condition], prediction: Prediction) -> tuple[BandPoint, ...]:
    """Over all sizes of the law and the one predicted for, at its budget."""
    from engine.analysis.predictions import law_band, law_of

    budget = prediction.condition.num_tokens
    if prediction.collapse_frequency is None or budget is None:
        return ()
    sizes = [*(float(c.num_params) for c in members), prediction.condition.num_params]
    return law_band(
        law_of(one.fit),
        [law_of(other) for other in one.other_fits],
        num_tokens=budget,
        ceiling=prediction.condition.ceiling_frequency,
        ends=(min(sizes), max(sizes)),
        num_points=_NUM_BAND_POINTS,
    )


def _refusal(size: float, budget: float | None, reason: str | None) -> Prediction:
    return Prediction(condition=TargetCondition(num_params=size, num_tokens=budget), reason=reason)


def _choose(laws: Sequence[SweepLaw], where: str | None) -> SweepLaw:
    if where:
        keep = condition_filter(where, [one.condition for one in laws])
        laws = [one for one in laws if keep(one.condition)]
    if len(laws) == 1:
        return laws[0]
    choices = "; ".join(one.condition.words() for one in laws)
    what = "several conditions have laws." if laws else "no condition with a law fits."
    raise SpecError(what, key="--where", value=where or "", mend=f"Choose one: {choices}." if choices else "")


def _count(text: str, option: str) -> float:
    try:
        number = float(parse_number(text))
        if number > LARGEST_COUNT:
            raise ValueError(f"expected a number of at most {LARGEST_COUNT:.0e}")
    except ValueError as error:
        raise SpecError(f"{error}.", key=option, value=text) from None
    if number <= 0:
        raise SpecError("expected a number above zero.", key=option, value=text)
    return number
