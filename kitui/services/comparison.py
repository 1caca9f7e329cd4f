"""`kitui compare`: what differs between two sweeps, in their settings, their curves and their collapse points."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.table import Table

from engine.records.analysis import AnalysisDocument, DosePoint, RetentionCurve, Verdict
from engine.records.conditions import Condition
from engine.records.effects import Mechanism
from engine.records.intervals import Interval
from engine.records.record import SCHEMA_VERSION, Record
from engine.records.workspace import Workspace
from engine.spec.axes import AXES, SIZE, TOKENS, Axis, AxisValue, WithAxes, differing_axes
from engine.spec.fact_sets import OVERALL
from kitui.services.effect_words import mechanism_lines, mechanism_table
from kitui.services.engine_commands import Report, analysis
from kitui.services.format import interval, number, retention
from kitui.services.sweeps import known_sweep
from kitui.services.text import printable


class SettingDifference(Record, frozen=True, kw_only=True):
    key: str
    values: tuple[Any, ...]
    """As the two sweep files have it; None where one says nothing."""


class CurveDifference(Record, frozen=True, kw_only=True):
    """A dose at which both sweeps have runs."""

    fact_set: str
    num_params: int
    num_tokens: int
    templates: int | None
    other_axes: dict[str, AxisValue]
    frequency: int | float
    means: tuple[float, float]
    n: tuple[int, int]
    difference: float
    interval: tuple[float, float] | None
    """95 %, by the seeds' spread; None with fewer than two seeds on either side."""


class PointComparison(Record, frozen=True, kw_only=True):
    """The collapse points at one place of the grid; None for a sweep that has none there."""

    num_params: int
    num_tokens: int
    templates: int | None
    other_axes: dict[str, AxisValue]
    status: tuple[Verdict | None, ...]
    collapse_frequencies: tuple[float | None, ...] = msgspec.field(name="frequency")
    interval: tuple[Interval | None, ...]


class ComparisonDocument(Record, frozen=True, kw_only=True):
    """`kitui compare --json`. Conditions are matched by the axes of the grid: what else they hold may differ."""

    schema_version: int = SCHEMA_VERSION
    sweeps: tuple[str, ...]
    simulated: tuple[bool, ...]
    settings: tuple[SettingDifference, ...]
    curves: tuple[CurveDifference, ...]
    collapse_points: tuple[PointComparison, ...]
    mechanism: Mechanism | None = None
    """Where one sweep is the neutral arm of the other."""


_MATCHED = tuple(axis for axis in AXES if axis.in_condition)
_Place = tuple[AxisValue | None, ...]
"""The values of the axes by which conditions are matched."""


def compare(workspace: Workspace, first: str, second: str, *, report: Report | None = None) -> ComparisonDocument:
    """Raises what is wrong with either sweep."""
    names = [known_sweep(workspace, sweep)[0] for sweep in (first, second)]
    analyses = [analysis(workspace, name, report=report) for name in names]
    return ComparisonDocument(
        sweeps=tuple(names),
        simulated=tuple(a.simulated for a in analyses),
        settings=_settings(workspace, names),
        curves=_curves(*analyses),
        collapse_points=_points(analyses),
        mechanism=_mechanism(*analyses),
    )


def _mechanism(first: AnalysisDocument, second: AnalysisDocument) -> Mechanism | None:
    """The two sweeps as neutral and infused arm, whichever is which."""
    from engine.analysis.mechanism import mechanism  # SciPy takes a second

    fills = [{curve.condition.fill for curve in one.curves} for one in (first, second)]
    if first.simulated != second.simulated or fills[0] & fills[1]:
        return None
    return mechanism([*first.curves, *second.curves], [*first.law.collapse_points, *second.law.collapse_points])


def _settings(workspace: Workspace, names: Sequence[str]) -> tuple[SettingDifference, ...]:
    tables = [_flat(workspace, name) for name in names]
    keys = sorted(tables[0].keys() | tables[1].keys())
    return tuple(
        SettingDifference(key=key, values=tuple(t.get(key) for t in tables))
        for key in keys
        if tables[0].get(key) != tables[1].get(key)
    )


def _flat(workspace: Workspace, name: str) -> dict[str, object]:
    """The sweep file as dotted keys; none for a sweep that was imported or simulated."""
    path = workspace.sweep(name).sweep_toml
    if not path.exists():
        return {}
    flat: dict[str, object] = {}

    def walk(table: dict[str, object], prefix: str) -> None:
        for key, value in table.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk(tomllib.loads(path.read_text(encoding="utf-8-sig")), "")
    flat.pop("name", None)
    return flat


def _place(condition: Condition) -> _Place:
    return tuple(axis.of(condition) for axis in _MATCHED)


def _curves(first: AnalysisDocument, second: AnalysisDocument) -> tuple[CurveDifference, ...]:
    """Where both have runs: the means, their difference, and its 95 % interval by the seeds' spread (Welch's standard
    error, normal quantile)."""
    points, others = (_points_by_place(document) for document in (first, second))
    return tuple(
        _curve_difference(curve, point, others[place][1]) for place, (curve, point) in points.items() if place in others
    )


def _points_by_place(document: AnalysisDocument) -> dict[tuple[str, float, _Place], tuple[RetentionCurve, DosePoint]]:
    return {
        (curve.fact_set, point.frequency, _place(curve.condition)): (curve, point)
        for curve in document.curves
        for point in curve.points
        if point.mean is not None
    }


def _curve_difference(curve: RetentionCurve, a: DosePoint, b: DosePoint) -> CurveDifference:
    assert a.mean is not None
    assert b.mean is not None
    difference, ends = b.mean - a.mean, None
    if a.sd is not None and b.sd is not None:
        error = math.sqrt(a.sd**2 / a.n + b.sd**2 / b.n)
        ends = (difference - 1.96 * error, difference + 1.96 * error)
    return CurveDifference(
        fact_set=curve.fact_set,
        num_params=curve.condition.num_params,
        num_tokens=curve.condition.num_tokens,
        templates=curve.condition.templates,
        other_axes=curve.condition.other_axes,
        frequency=a.frequency,
        means=(a.mean, b.mean),
        n=(a.n, b.n),
        difference=difference,
        interval=ends,
    )


def _points(analyses: Sequence[AnalysisDocument]) -> tuple[PointComparison, ...]:
    sides = [{_place(point.condition): point for point in a.law.collapse_points} for a in analyses]
    both = sides[1] | sides[0]
    rows = []
    for place in dict.fromkeys([*sides[0], *sides[1]]):
        condition = both[place].condition
        points = [side.get(place) for side in sides]
        rows.append(
            PointComparison(
                num_params=condition.num_params,
                num_tokens=condition.num_tokens,
                templates=condition.templates,
                other_axes=condition.other_axes,
                status=tuple(p.status if p else None for p in points),
                collapse_frequencies=tuple(p.collapse_frequency if p else None for p in points),
                interval=tuple(p.interval if p else None for p in points),
            )
        )
    return tuple(rows)


def comparison_tables(document: ComparisonDocument) -> list[RenderableType]:
    """The comparison as tables and lines, for the terminal and the app."""
    names = [
        printable(n) + (" (simulated)" if s else "") for n, s in zip(document.sweeps, document.simulated, strict=True)
    ]
    tables: list[RenderableType] = [
        _settings_table(document, names) if document.settings else "Settings: the same, or not known of imported ones.",
        _points_table(document, names),
        _curves_table(document, names) or "They have no cell of the grid in common.",
    ]
    if document.mechanism is not None:
        tables += [mechanism_table(document.mechanism), "\n".join(mechanism_lines(document.mechanism))]
    return tables


def _settings_table(document: ComparisonDocument, names: list[str]) -> Table:
    table = _table("Settings that differ", ["key", *names])
    for row in document.settings:
        table.add_row(row.key, *(_setting(value) for value in row.values))
    return table


def _points_table(document: ComparisonDocument, names: list[str]) -> Table:
    axes = _shown_axes(document.collapse_points)
    table = _table("Collapse points F*", [*(axis.alias for axis in axes), *names])
    for row in document.collapse_points:
        cells = [
            "–" if status is None else f"{number(frequency)} {interval(ends)} {status}"
            for status, frequency, ends in zip(row.status, row.collapse_frequencies, row.interval, strict=True)
        ]
        table.add_row(*_texts(row, axes), *cells)
    return table


def _curves_table(document: ComparisonDocument, names: list[str]) -> Table | None:
    shown = [row for row in document.curves if row.fact_set == OVERALL.name]
    axes = _shown_axes(shown)
    table = _table(
        "Overall retention where both have runs", [*(axis.alias for axis in axes), "F", *names, "difference", "95 %"]
    )
    for row in shown:
        table.add_row(
            *_texts(row, axes),
            f"{row.frequency:,}",
            *(retention(m) for m in row.means),
            f"{row.difference:+.2f}",
            "–" if row.interval is None else f"[{row.interval[0]:+.2f}, {row.interval[1]:+.2f}]",
        )
    return table if shown else None


def _shown_axes(rows: Sequence[WithAxes]) -> list[Axis]:
    """The size, the budget, and the others in which the rows differ."""
    return [SIZE, TOKENS, *(axis for axis in differing_axes(rows) if axis is not TOKENS)]


def _texts(row: WithAxes, axes: Sequence[Axis]) -> list[str]:
    return [axis.words(axis.of(row)) for axis in axes]


def _setting(value: object) -> str:
    if value is None:
        return "–"
    return printable(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))


def _table(title: str, columns: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table
