"""Results in words and tables, for the terminal and the app: curves, collapse points, laws, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.table import Table

from engine.control.ledger.state_file import State
from engine.control.status import status
from engine.errors import SpecError, nearest
from engine.records.analysis import CollapsePoint, CurvesDocument, DosePoint, LawDocument, Prediction, RetentionCurve
from engine.records.status import StatusDocument
from engine.records.workspace import Workspace
from engine.spec import fact_sets
from engine.spec.axes import differing_axes
from engine.spec.numbers import format_count
from kitui.services.format import dose, dose_interval, interval, number, retention
from kitui.services.labels import condition_label
from kitui.services.sweeps import known_sweep


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


OUTDATED = "What follows was worked out by another version of the analysis; it is being worked out anew."


def checked_fact_set(name: str) -> str:
    if name not in fact_sets.NAMES:
        raise SpecError("no such fact set.", key="--fact-set", value=name, mend=nearest(name, fact_sets.NAMES))
    return name


def status_document(workspace: Workspace, sweep: str | None) -> StatusDocument:
    name = known_sweep(workspace, sweep)[0] if sweep else None
    return status(workspace, State(workspace), name)


def curves_document(analysis: CurvesDocument) -> CurvesDocument:
    """The document of `kitui curves --json`, out of a whole analysis."""
    return CurvesDocument(sweep=analysis.sweep, simulated=analysis.simulated, curves=analysis.curves)


def retention_table(curves: Sequence[RetentionCurve], title: str, *, with_sd: bool) -> Table:
    """Sizes down, frequencies across: the mean over seeds; missing runs are marked, never filled in."""
    conditions = [curve.condition for curve in curves]
    frequencies = sorted({p.frequency for c in curves for p in c.points})
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    table.add_column("N", justify="left", no_wrap=True)
    for frequency in frequencies:
        table.add_column(f"F={frequency:,}" if frequency == frequencies[0] else f"{frequency:,}", justify="right")
    for curve in curves:
        by_dose = {p.frequency: p for p in curve.points}
        label = condition_label(curve.condition, conditions)
        table.add_row(label, *(_dose_text(by_dose.get(f), with_sd) for f in frequencies))
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


def collapse_table(points: Sequence[CollapsePoint]) -> Table:
    table = Table(box=None, pad_edge=False)
    axes = differing_axes([p.condition for p in points])
    columns = ["N", *(axis.label for axis in axes), "F*", "95 %", "half", "acquired", "drop", "p", "verdict"]
    for column in columns:
        table.add_column(column, justify="left" if column == "verdict" else "right", no_wrap=True)
    for p in points:
        table.add_row(
            format_count(p.condition.num_params),
            *(axis.words(axis.of(p.condition)) for axis in axes),
            number(p.collapse_frequency),
            interval(p.interval),
            number(p.half_drop_frequency),
            number(p.acquisition_frequency),
            "–" if p.drop is None else f"{p.drop:.0%}",
            "–" if p.p_value_no_collapse is None else f"{p.p_value_no_collapse:.3f}",
            VERDICTS[p.status],
        )
    return table


def law_lines(law: LawDocument) -> list[str]:
    """The law in words, or why there is none; what speaks for and against it; the next size up."""
    conditions = [point.condition for point in law.collapse_points]
    lines = [
        f"N = {condition_label(point.condition, conditions)}: {point.reason}"
        for point in law.collapse_points
        if point.status != "observed"
    ]
    for one in law.laws:
        lines.append(f"law ({one.form}): {one.equation}")
        for name, parameter in one.parameters.items():
            if name.startswith(("exponent", "slope")):
                lines.append(f"  {name.replace('_', ' ')} {number(parameter.value)} {interval(parameter.interval)}")
        left_out = one.leave_largest_out
        if left_out:
            predicted = f"{number(left_out.predicted)} {interval(left_out.interval)}"
            observed = number(left_out.observed)
            lines.append(f"  without the largest size it predicts {predicted} there; observed {observed}")
        lines.extend(f"  {warning}" for warning in one.warnings)
        if one.next_size:
            lines.extend(prediction_lines(one.next_size))
    if law.reason:
        lines.append(f"no law: {law.reason}")
    effect = law.template_effect
    if effect:
        spread = f"95 % {interval(effect.interval)}, p = {effect.p:.3f}"
        lines.append(f"templates: {effect.difference:+.3f} retention, {spread}")
    lines.extend([*law.notes, *law.warnings])
    return lines


def prediction_lines(document: Prediction) -> list[str]:
    condition = document.condition
    size = format_count(condition.num_params)
    name = f" ({document.model})" if document.model else ""
    budget = format_count(condition.num_tokens) if condition.num_tokens is not None else "?"
    lines = [
        f"at N = {size}{name}, D = {budget}: F* = {dose(document.collapse_frequency)} "
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
