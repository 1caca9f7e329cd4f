"""Predictions that are locked before a size is trained, and scored once it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import msgspec

from engine.errors import DamageError, SpecError, StateError
from engine.records.analysis import (
    AS_GIVEN,
    AnalysisDocument,
    CollapsePoint,
    LockedScore,
    Prediction,
    SweepLaw,
    TargetCondition,
    read_analysis,
)
from engine.records.conditions import Condition, LawCondition
from engine.records.digests import ANALYSIS_SEMANTICS
from engine.records.locked import LockedPrediction, evidence_digest, lock, locked_predictions
from engine.records.plan import latest_plan
from engine.records.workspace import Workspace
from engine.spec.numbers import format_count

_ROUNDED = 0.03
"""Of ln N and ln D: 3B is the preset of 2.94 billion parameters."""


def lock_prediction(
    workspace: Workspace, analysis: AnalysisDocument, one: SweepLaw, prediction: Prediction
) -> LockedPrediction:
    """Keep what a law says of a size that nobody has trained yet. SpecError where a sweep of the workspace has results
    at that size."""
    points = [p for p in analysis.law.collapse_points if p.condition.law_condition() == one.condition]
    largest = max((p for p in points if p.collapse_frequency is not None), key=lambda p: p.condition.num_params)
    assert largest.collapse_frequency is not None
    said = LockedPrediction(
        sweep=analysis.sweep,
        simulated=analysis.simulated,
        law_condition=one.condition,
        form=one.form,
        equation=one.equation,
        prediction=prediction,
        baseline_frequency=largest.collapse_frequency,
        baseline_params=largest.condition.num_params,
        evidence=evidence_digest(analysis),
        analysis_semantics=ANALYSIS_SEMANTICS,
    )
    known = _outcomes(said, [analysis, *_other_analyses(workspace, analysis.sweep)])
    if known:
        raise SpecError(
            f"{known[0].sweep} has results at this size: there is nothing left to predict.",
            key="--lock",
            value=format_count(prediction.condition.num_params),
        )
    return lock(workspace, said)


def with_scores(workspace: Workspace, analysis: AnalysisDocument) -> AnalysisDocument:
    """The document with the predictions that its law made, and with those that it tells the outcome of."""
    predictions, faults = locked_predictions(workspace)
    others: list[AnalysisDocument] | None = None
    scores = []
    for locked in predictions:
        outcomes = _outcomes(locked, [analysis])
        is_own = locked.sweep == analysis.sweep and locked.simulated == analysis.simulated
        if not outcomes and is_own:
            others = _other_analyses(workspace, analysis.sweep) if others is None else others
            outcomes = _outcomes(locked, others)
        if outcomes or is_own:
            scores.append(_score(workspace, locked, outcomes))
    warnings = (*analysis.law.warnings, *(f"a locked prediction is damaged: {fault}" for fault in faults))
    law = msgspec.structs.replace(analysis.law, locked=tuple(scores), warnings=warnings)
    return msgspec.structs.replace(analysis, law=law)


class _Outcome(NamedTuple):
    """What a sweep found at the size that was predicted."""

    sweep: str
    point: CollapsePoint


def _outcomes(locked: LockedPrediction, analyses: Sequence[AnalysisDocument]) -> list[_Outcome]:
    """Of these sweeps, those with results at the predicted size and budget and of the same condition; those that found
    a collapse point first. Simulated ones are apart."""
    found = []
    for analysis in analyses:
        if analysis.simulated != locked.simulated:
            continue
        with_results = {c.condition for c in analysis.curves if any(p.n for p in c.points if p.frequency > 0)}
        found += [
            _Outcome(analysis.sweep, point)
            for point in analysis.law.collapse_points
            if (point.condition in with_results or point.reason == AS_GIVEN)
            and _agree(point.condition.law_condition(), locked.law_condition)
            and _is_at(point.condition, locked.prediction.condition)
        ]
    return sorted(found, key=lambda outcome: outcome.point.status != "observed")


def _agree(one: LawCondition, other: LawCondition) -> bool:
    """Whether two conditions are alike in all that is known of both."""
    values, others = one.by_field(), other.by_field()
    return all(
        values.get(name) == others.get(name) or None in (values.get(name), others.get(name))
        for name in {*values, *others}
    )


def _is_at(condition: Condition, target: TargetCondition) -> bool:
    """Whether it is of the predicted size and budget: a size that was asked for in round figures is meant as such."""
    pairs = [(condition.num_params, target.num_params), (condition.num_tokens, target.num_tokens)]
    return all(wanted is None or abs(math.log(value / wanted)) < _ROUNDED for value, wanted in pairs)


def _other_analyses(workspace: Workspace, sweep: str) -> list[AnalysisDocument]:
    """What is on file of all other sweeps; what cannot be read is made anew when somebody looks at it."""
    found = []
    for name in workspace.sweep_names():
        if name != sweep:
            with suppress(StateError, DamageError):
                analysis = read_analysis(workspace.sweep(name).law)
                if analysis is not None:
                    found.append(analysis)
    return found


def _score(workspace: Workspace, locked: LockedPrediction, outcomes: Sequence[_Outcome]) -> LockedScore:
    prediction = locked.prediction
    assert prediction.collapse_frequency is not None
    assert prediction.interval is not None
    score = LockedScore(
        id=locked.id,
        locked_at=locked.locked_at,
        sweep=locked.sweep,
        condition=prediction.condition,
        predicted=prediction.collapse_frequency,
        interval=prediction.interval,
        baseline=locked.baseline_frequency,
    )
    if not outcomes:
        return score
    # Of several sweeps, one that came after the prediction is its test.
    dated = [(_was_known(workspace, outcome, locked), outcome) for outcome in outcomes]
    was_known, outcome = min(dated, key=lambda pair: (pair[0], pair[1].point.status != "observed"))
    observed = outcome.point.collapse_frequency
    return msgspec.structs.replace(
        score,
        scored_in=outcome.sweep,
        status=outcome.point.status,
        observed=observed,
        is_inside=_is_inside(outcome.point, prediction.interval),
        error_ln=math.log(prediction.collapse_frequency / observed) if observed else None,
        baseline_error_ln=math.log(locked.baseline_frequency / observed) if observed else None,
        warning="this size had results when it was locked" if was_known else None,
    )


def _is_inside(point: CollapsePoint, interval: tuple[float | None, float | None]) -> bool | None:
    """Whether F* lies in the interval; of one that is only known to lie beyond a dose, where that settles it."""
    low, high = interval
    if point.collapse_frequency is not None:
        return (low is None or point.collapse_frequency >= low) and (high is None or point.collapse_frequency <= high)
    at_least, at_most = point.interval
    if high is not None and at_least is not None and at_least > high:
        return False
    if low is not None and at_most is not None and at_most < low:
        return False
    return None


def _was_known(workspace: Workspace, outcome: _Outcome, locked: LockedPrediction) -> bool:
    """Whether there were results at that size when the prediction was locked, by the times of their files."""
    folder, condition = workspace.sweep(outcome.sweep), outcome.point.condition
    plan = latest_plan(folder)
    times = []
    for cell in plan.cells if plan is not None and not plan.is_foreign else ():
        if (cell.num_params, cell.num_tokens) == (condition.num_params, condition.num_tokens):
            with suppress(OSError):  # none yet
                times.append(workspace.run(cell.run_id).result(plan.evaluation_id).stat().st_mtime)  # type: ignore[union-attr]
    if not times:
        with suppress(OSError):
            times.append(folder.results.stat().st_mtime)
    return bool(times) and min(times) < datetime.fromisoformat(locked.locked_at).timestamp()
