"""Results in words and tables, for the terminal and the app: curves, collapse points, laws, predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from rich.table import Table

from engine.control.ledger.state_file import State
from engine.control.status import status
from engine.errors import SpecError, nearest
from engine.records.analysis import (
    CollapsePoint,
    CurvesDocument,
    DosePoint,
    LawDocument,
    LeaveOut,
    LockedScore,
    Parameter,
    Prediction,
    PredictionDocument,
    RetentionCurve,
    size_names,
)
from engine.records.measures import ANALYSED, Measured
from engine.records.status import StatusDocument
from engine.records.workspace import Workspace
from engine.spec import fact_sets
from engine.spec.axes import differing_axes
from engine.spec.numbers import format_count
from kitui.services.dose_axes import DoseAxis
from kitui.services.effect_words import mechanism_lines, template_lines
from kitui.services.format import dose, dose_interval, interval, number, retention
from kitui.services.labels import NO_NAMES, Names, condition_label, condition_words, size_label, size_words
from kitui.services.sweeps import known_sweep
from kitui.services.text import plain_text


class HasOrigin(Protocol):
    @property
    def simulated(self) -> bool: ...


# A verdict is never shown by colour alone, and reads the same everywhere.
VERDICTS = {
    "observed": "● observed",
    "left_censored": "◀ below first F",
    "right_censored": "▶ beyond last F",
    "none_below_ceiling": "▶ none to ceiling",
    "insufficient": "○ insufficient",
}


NO_TRUTH: Mapping[int, float | None] = MappingProxyType({})
BAD_FIT = 0.01
"""p of the fit under which a curve is warned of."""
OUTDATED = "What follows was worked out by another version of the analysis; it is being worked out anew."


def checked_fact_set(name: str) -> str:
    if name not in fact_sets.NAMES:
        raise SpecError("no such fact set.", key="--fact-set", value=name, mend=nearest(name, fact_sets.NAMES))
    return name


def checked_measure(name: str, num_checkpoints: int) -> Measured:
    if name not in ANALYSED:
        raise SpecError("no such measure.", key="--measure", value=name, mend=nearest(name, list(ANALYSED)))
    return Measured(name, num_checkpoints)


def status_document(workspace: Workspace, sweep: str | None) -> StatusDocument:
    name = known_sweep(workspace, sweep)[0] if sweep else None
    return status(workspace, State(workspace), name)


def curves_document(analysis: CurvesDocument) -> CurvesDocument:
    """The document of `kitui curves --json`, out of a whole analysis."""
    names = CurvesDocument.__struct_fields__
    return CurvesDocument(**{name: getattr(analysis, name) for name in names})


def retention_table(curves: Sequence[RetentionCurve], title: str, *, with_sd: bool, names: Names = NO_NAMES) -> Table:
    """Sizes down, frequencies across: the mean over seeds; missing runs are marked, never filled in."""
    conditions = [curve.condition for curve in curves]
    frequencies = sorted({p.frequency for c in curves for p in c.points})
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    table.add_column("size", justify="left", no_wrap=True)
    for frequency in frequencies:
        table.add_column(f"F={frequency:,}" if frequency == frequencies[0] else f"{frequency:,}", justify="right")
    for curve in curves:
        by_dose = {p.frequency: p for p in curve.points}
        label = condition_label(curve.condition, conditions, names)
        table.add_row(label, *(_dose_text(by_dose.get(f), with_sd) for f in frequencies))
    return table


def over_table(curves: Sequence[RetentionCurve], axis: DoseAxis, title: str, names: Names = NO_NAMES) -> Table:
    """Dose by dose: where it lies on the axis, and retention there; sizes that meet on it have the same value."""
    conditions = [curve.condition for curve in curves]
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for column in ("size", "F", axis.label, "R", "sd", "n"):
        table.add_column(column, justify="left" if column == "size" else "right", no_wrap=True)
    for curve in curves:
        label = condition_label(curve.condition, conditions, names)
        for point in curve.points:
            if point.mean is not None:
                cells = (number(axis.of(point)), retention(point.mean), retention(point.sd), f"{point.n}")
                table.add_row(label, f"{point.frequency:,g}", *cells)
    return table


def _dose_text(point: DosePoint | None, with_sd: bool) -> str:
    if point is None:
        return ""
    if point.mean is None:
        return "…"
    text = retention(point.mean)
    if with_sd and point.sd is not None:
        text += f"±{retention(point.sd)}"
    return text + ("*" if point.missing else "")


def law_table(law: LawDocument, *, with_truth: bool = True) -> Table:
    """The collapse points of a law's document; of a simulated one beside their truth, where there is room."""
    truth = {point.num_params: point.frequency for point in law.truth} if with_truth else {}
    return collapse_table(law.collapse_points, size_names(law.sizes), truth)


def collapse_table(
    points: Sequence[CollapsePoint], names: Names = NO_NAMES, truth: Mapping[int, float | None] = NO_TRUTH
) -> Table:
    table = Table(box=None, pad_edge=False)
    axes = differing_axes([p.condition for p in points])
    of_arms = len({p.condition.fill for p in points}) > 1
    columns = [
        *(["size"] if names else []),
        "N",
        *(axis.label for axis in axes),
        *(["fill"] if of_arms else []),
        "F*",
        "95 %",
        *(["truth"] if truth else []),
        "half",
        "acquired",
        "drop",
        "p",
        "fit",
        "verdict",
    ]
    for column in columns:
        table.add_column(column, justify="left" if column in ("size", "verdict") else "right", no_wrap=True)
    for p in points:
        table.add_row(
            *([size_label(p.condition.num_params, names)] if names else []),
            format_count(p.condition.num_params),
            *(axis.words(axis.of(p.condition)) for axis in axes),
            *([p.condition.fill or "–"] if of_arms else []),
            number(p.collapse_frequency),
            interval(p.interval),
            *([number(truth.get(p.condition.num_params))] if truth else []),
            number(p.half_drop_frequency),
            _acquired(p),
            "–" if p.drop is None else f"{p.drop:.0%}",
            _p_value(p.p_value_no_collapse),
            _p_value(p.p_value_fit),
            VERDICTS[p.status],
        )
    return table


def _acquired(point: CollapsePoint) -> str:
    """The acquisition frequency; where the first dose may have it already, at most so much."""
    if point.acquisition_frequency is None:
        return "–"
    return ("≤" if point.acquisition_interval[0] is None else "") + number(point.acquisition_frequency)


def _p_value(p: float | None) -> str:
    return "–" if p is None else f"{p:.3f}".replace("0.", ".", 1)


def answer_lines(law: LawDocument) -> list[str]:
    """The law and what it says of the next size, in as few lines as that takes; or why there is none."""
    lines = []
    for one in law.laws:
        of = f", {one.condition.words()}" if len(law.laws) > 1 else ""
        exponent, ends = _exponent(one.parameters)
        lines.append(f"{one.equation}{of}" + (f"; exponent 95 % {ends}" if exponent != "–" else ""))
        if one.next_size is not None:
            lines.append(window_line(one.next_size))
    if not law.laws:
        observed = sum(point.status == "observed" for point in law.collapse_points)
        lines.append(f"{observed} of {len(law.collapse_points)} collapse points observed")
        lines.append(f"no law: {law.reason}" if law.reason else "no law yet")
        conditions, names = [point.condition for point in law.collapse_points], size_names(law.sizes)
        lines += [
            f"{condition_words(point.condition, conditions, names)}: {point.reason}"
            for point in law.collapse_points
            if point.status == "insufficient"
        ]
    return lines


def law_page(
    law: LawDocument, prediction: Sequence[str], target: Prediction | None, *, with_truth: bool
) -> tuple[list[str], list[str]]:
    """The lines of the answer, and of all that is known, with what was asked for: `prediction`, and its `target` where
    there is one."""
    answer = answer_lines(law)
    if target is not None:
        answer = [window_line(target), *(line for line in answer if not line.startswith("at "))]
    elif prediction:
        answer.insert(0, prediction[0])
    asked = [*prediction, ""] if prediction else []
    return answer, [plain_text(law_table(law, with_truth=with_truth)), *asked, *law_lines(law)]


def window_line(found: Prediction) -> str:
    """What a prediction comes to, in a line."""
    names = {round(found.condition.num_params): found.model} if found.model else NO_NAMES
    at = f"at {size_words(found.condition.num_params, names)}"
    if found.collapse_frequency is None:
        return f"{at}: {found.reason}"
    out = f", {number(found.extrapolation)} × out" if found.extrapolation and found.extrapolation > 1 else ""
    parts = [f"{at}{out}: F* {dose(found.collapse_frequency)} {dose_interval(found.interval)}"]
    if found.acquisition_frequency is not None:
        parts.append(f"acquired from {dose(found.acquisition_frequency)}")
    recommended = found.recommended_frequency
    parts.append(
        f"use F ≤ {dose(recommended)}" if recommended is not None else f"no frequency recommended: {found.reason}"
    )
    return " · ".join(parts)


def law_lines(law: LawDocument) -> list[str]:
    """The law in words, or why there is none; what speaks for and against it; the next size up."""
    conditions, names = [point.condition for point in law.collapse_points], size_names(law.sizes)
    lines = [
        f"{condition_words(point.condition, conditions, names)}: {point.reason}"
        for point in law.collapse_points
        if point.status != "observed"
    ]
    for point in law.collapse_points:
        label = condition_words(point.condition, conditions, names)
        if point.dead_runs:
            lines.append(f"{label}: dead runs, which learned nothing and do not count: {', '.join(point.dead_runs)}")
        if point.p_value_fit is not None and point.p_value_fit < BAD_FIT:
            worst = max(point.residuals, key=lambda cell: abs(cell.residual))
            lines.append(
                f"{label}: no shape fits (p = {point.p_value_fit:.3f}; {worst.fact_set} at F = {worst.frequency:g} "
                f"is {worst.residual:+.1f} SD of a seed off): what is read off this curve is doubtful"
            )
        if point.status == "observed" and point.shape == "cliff":
            lines.append(f"{label}: it falls between two doses, and F* may lie anywhere there: add doses within")
    for one in law.laws:
        of = f" of {one.condition.words()}" if len(law.laws) > 1 else ""
        lines.append(f"law ({one.form}){of}: {one.equation}")
        for name, parameter in one.parameters.items():
            if name.startswith(("exponent", "slope")):
                all_alike = f"; all of {interval(parameter.identified)} fit alike" if parameter.identified else ""
                shown = f"{number(parameter.value)} {interval(parameter.interval)}"
                lines.append(f"  {name.replace('_', ' ')} {shown}{all_alike}")
        if len(one.residuals) > 2:
            far = max(one.residuals, key=lambda residual: abs(residual.residual_ln))
            lines.append(
                f"  farthest from it: {condition_words(far.condition, conditions, names)}, "
                f"{math.exp(far.residual_ln):.3g} × the law (scatter {math.exp(one.sigma_log):.3g} ×)"
            )
        for what, left_out in (("size", one.leave_largest_out), ("budget", one.leave_budget_out)):
            if left_out is not None:
                lines.append(_left_out_words(what, left_out))
        for name, other in (("half-drop", one.half_drop), ("acquired", one.acquisition)):
            if other.equation:
                exponent, ends = _exponent(other.parameters)
                lines.append(f"  {name}: {other.equation}, exponent {exponent} {ends}")
        lines.extend(f"  {warning}" for warning in one.warnings)
        if one.next_size:
            lines.extend(prediction_lines(one.next_size))
    if law.reason:
        lines.append(f"no law: {law.reason}")
    effect = law.template_effect
    if effect:
        lines.extend(template_lines(effect))
    if law.mechanism:
        lines.extend(mechanism_lines(law.mechanism, names))
    for score in law.locked:
        lines.extend(locked_lines(score, names))
    lines.extend([*law.notes, *law.warnings])
    return lines


def locked_lines(score: LockedScore, names: Names = NO_NAMES) -> list[str]:
    """A prediction that was locked, and what came of it."""
    condition = score.condition
    budget = "" if condition.num_tokens is None else f", D = {format_count(condition.num_tokens)}"
    said = f"F* {dose(score.predicted)} {dose_interval(score.interval)}"
    lines = [f"locked {score.locked_at[:10]} ({score.id}), {size_words(condition.num_params, names)}{budget}: {said}"]
    if score.scored_in is None:
        lines.append("  not trained yet")
    elif score.observed is None or score.error_ln is None or score.baseline_error_ln is None:
        outside = "; that is outside" if score.is_inside is False else ""
        lines.append(f"  {score.scored_in} found no F* there: {VERDICTS[score.status or 'insufficient']}{outside}")
    else:
        off, naive = (math.exp(abs(error)) for error in (score.error_ln, score.baseline_error_ln))
        lines.append(
            f"  {score.scored_in} found {number(score.observed)}: {'inside' if score.is_inside else 'outside'}, off by "
            f"{off:.3g} ×; the F* of the largest size at that time, {number(score.baseline)}, was off by {naive:.3g} ×"
        )
    if score.warning:
        lines.append(f"  {score.warning}")
    return lines


def laws_table(laws: Sequence[LawDocument]) -> Table:
    """How F*, the half-drop and the acquisition frequency move with size, by fact set and condition."""
    table = Table(box=None, pad_edge=False)
    conditions = [one.condition for law in laws for one in law.laws]
    several = len(set(conditions)) > 1
    for column in ("facts", *(["condition"] if several else []), "of", "law", "exponent", "95 %"):
        table.add_column(column, justify="right" if column in ("exponent", "95 %") else "left", no_wrap=True)
    for law in laws:
        if not law.laws:
            table.add_row(law.fact_set, *([""] if several else []), "F*", "–", "–", "–")
        for one in law.laws:
            of = [one.condition.words()] if several else []
            table.add_row(law.fact_set, *of, "F*", one.equation, *_exponent(one.parameters))
            for name, other in (("half-drop", one.half_drop), ("acquired", one.acquisition)):
                table.add_row("", *([""] if several else []), name, other.equation or "–", *_exponent(other.parameters))
    return table


def _exponent(parameters: Mapping[str, Parameter]) -> tuple[str, str]:
    """Of size, where the law has one."""
    for name, parameter in parameters.items():
        if name.startswith(("exponent_params", "slope")):
            return number(parameter.value), interval(parameter.interval)
    return "–", "–"


def _left_out_words(what: str, left_out: LeaveOut) -> str:
    predicted = f"{number(left_out.predicted)} {interval(left_out.interval)}"
    errors = (math.exp(abs(error)) for error in (left_out.error_ln, left_out.naive_error_ln))
    off, naive = (f"{error:.3g} ×" for error in errors)
    return (
        f"  without the largest {what} it predicts {predicted} there; observed {number(left_out.observed)}: off by "
        f"{off}, the next {what}'s own F* by {naive}"
    )


def prediction_lines(document: Prediction) -> list[str]:
    condition = document.condition
    size = size_words(
        condition.num_params, {round(condition.num_params): document.model} if document.model else NO_NAMES
    )
    budget = format_count(condition.num_tokens) if condition.num_tokens is not None else "?"
    lines = [
        f"at {size}, D = {budget}: F* = {dose(document.collapse_frequency)} "
        f"{dose_interval(document.interval)}, {number(document.extrapolation)} × the largest size fitted",
    ]
    if document.acquisition_frequency is not None:
        acquired = f"{dose(document.acquisition_frequency)} {dose_interval(document.acquisition_interval)}"
        lines.append(f"  acquired from F = {acquired}")
    if document.recommended_frequency is not None:
        lines.append(f"  use F = {dose(document.recommended_frequency)}: the lower end of F*, above acquisition")
    else:
        lines.append(f"  no frequency recommended: {document.reason}")
    lines.extend(f"  {warning}" for warning in document.warnings)
    if isinstance(document, PredictionDocument) and document.locked is not None:
        locked = document.locked
        lines.append(f"locked as {locked.id} at {locked.locked_at}: kitui law scores it once that size is trained")
    return lines


def simulated_label(document: HasOrigin) -> str:
    return " (simulated)" if document.simulated else ""


def background_words(background_tokens: int | None, budgets: list[int]) -> str:
    """How much text there is, and how often it is gone through."""
    if background_tokens is None:
        return "not known before it is tokenised"
    lengths = ", ".join(
        f"D = {format_count(budget)} is {budget / background_tokens:.2g} times that" for budget in budgets
    )
    return f"{format_count(background_tokens)} tokens of text; {lengths}"
