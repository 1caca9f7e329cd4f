"""The whole study in one picture: sizes down, frequencies across, retention in each cell, and where each size acquires
the facts and collapses. The app draws it with letters, `kitui figure` with ink."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Sequence
from typing import NamedTuple

from engine.records.analysis import AnalysisDocument, CollapsePoint, DosePoint, Prediction, size_names
from engine.records.conditions import Condition
from engine.records.plan import Plan, PlannedCell
from engine.spec.numbers import format_count
from kitui.services.format import counted, dose_interval, number, retention
from kitui.services.labels import condition_label, size_label

Frequency = int | float


class MapCell(NamedTuple):
    """One size at one frequency; `mean` is None before its first run has ended."""

    mean: float | None
    sd: float | None
    n: int
    missing: int
    is_running: bool = False


Place = tuple[float, int | float | None, int | None]
"""N, D and the number of templates: what a row is of."""


class MapRow(NamedTuple):
    label: str
    place: Place
    cells: dict[Frequency, MapCell]
    ceiling: float | None = None
    point: CollapsePoint | None = None
    target: Prediction | None = None
    """Of a row that is predicted, and has no cells."""

    @property
    def num_params(self) -> float:
        return self.place[0]

    def expression(self, frequency: Frequency) -> str:
        """The filter that picks the runs of a cell."""
        num_params, num_tokens, templates = self.place
        parts = [f"params={num_params:.0f}", f"frequency={frequency!r}"]
        parts += [f"num_tokens={num_tokens!r}"] if num_tokens is not None else []
        # Where nothing is infused, one number of templates stands for all.
        parts += [f"templates={templates}"] if templates is not None and frequency > 0 else []
        return " and ".join(parts)

    @property
    def acquired(self) -> float | None:
        found = self.target or self.point
        return found.acquisition_frequency if found is not None else None

    @property
    def collapse(self) -> float | None:
        found = self.target or self.point
        return found.collapse_frequency if found is not None else None

    @property
    def interval(self) -> tuple[float | None, float | None]:
        found = self.target or self.point
        if found is None or found.collapse_frequency is None or found.interval is None:
            return None, None
        return found.interval


class StudyMap(NamedTuple):
    frequencies: tuple[Frequency, ...]
    rows: tuple[MapRow, ...]
    """The target first, if there is one; then the largest size first."""

    def gap(self, frequency: float | None) -> int | None:
        """After which of the frequencies a place lies: −1 before the first."""
        return None if frequency is None else bisect.bisect_right(self.frequencies, frequency) - 1


def study_map(
    plan: Plan,
    document: AnalysisDocument | None,
    fact_set: str,
    *,
    target: Prediction | None = None,
    running: Collection[tuple[Place, Frequency]] = (),
    keep: Collection[Condition] | None = None,
) -> StudyMap:
    """`running`: places and frequencies in training; `keep`: only these conditions, where some are chosen."""
    rows = []
    curves = [c for c in document.curves if c.fact_set == fact_set] if document is not None else []
    curves = [c for c in curves if keep is None or c.condition in keep]
    conditions = [c.condition for c in curves]
    names = size_names(document.sizes) if document is not None else {}
    law = document.law if document is not None and document.law.fact_set == fact_set else None
    points = {point.condition: point for point in law.collapse_points} if law is not None else {}
    for curve in curves:
        condition = curve.condition
        place: Place = (condition.num_params, condition.num_tokens, condition.templates)
        cells = {point.frequency: _cell(point, (place, point.frequency) in running) for point in curve.points}
        label = condition_label(condition, conditions, names)
        rows.append(MapRow(label, place, cells, condition.ceiling_frequency, points.get(condition)))
    known = {row.place[:2] for row in rows}
    if keep is None:
        rows += _untrained(plan, known, running)
    rows.sort(key=lambda row: -row.num_params)
    if target is not None and target.collapse_frequency is not None:
        aim = target.condition
        label = target.model or size_label(aim.num_params, names)
        place = (aim.num_params, aim.num_tokens, aim.templates)
        rows.insert(0, MapRow(label, place, {}, aim.ceiling_frequency, target=target))
    frequencies = {cell.frequency for cell in plan.cells} | {f for row in rows for f in row.cells}
    return StudyMap(tuple(sorted(frequencies)), tuple(rows))


def _cell(point: DosePoint, is_running: bool) -> MapCell:
    return MapCell(point.mean, point.sd, point.n, point.missing, is_running)


def _untrained(
    plan: Plan, known: Collection[tuple[float, int | float | None]], running: Collection[tuple[Place, Frequency]]
) -> list[MapRow]:
    """The sizes and budgets of which nothing is known yet."""
    by_place: dict[Place, list[PlannedCell]] = {}
    for cell in plan.cells:
        if (cell.num_params, cell.num_tokens) not in known:
            by_place.setdefault((cell.num_params, cell.num_tokens, None), []).append(cell)
    budgets = {place[1] for place in by_place}
    rows = []
    for place, cells_of in by_place.items():
        under_way = {frequency for (size, budget, _), frequency in running if (size, budget) == place[:2]}
        cells = {
            f: MapCell(None, None, 0, sum(c.frequency == f for c in cells_of), f in under_way)
            for f in {cell.frequency for cell in cells_of}
        }
        label = cells_of[0].model + (f" D={format_count(cells_of[0].num_tokens)}" if len(budgets) > 1 else "")
        rows.append(MapRow(label, place, cells))
    return rows


def cell_words(row: MapRow, frequency: Frequency) -> str:
    """What is known of a cell, and of its size, in a line."""
    if row.target is not None:
        target = row.target
        recommended = target.recommended_frequency
        use = f"use F ≤ {number(recommended)}" if recommended is not None else "no frequency recommended"
        return f"{row.label}, predicted: F* {number(row.collapse)} {dose_interval(row.interval)} · {use}"
    cell = row.cells.get(frequency)
    words = f"{row.label}, F = {frequency:,g}: "
    if cell is None:
        words += "not in the grid"
    elif cell.mean is None:
        words += "in training" if cell.is_running else "not trained yet"
    else:
        spread = f" ± {retention(cell.sd)}" if cell.sd is not None else ""
        missing = f", {cell.missing} missing" if cell.missing else ""
        words += f"R {retention(cell.mean)}{spread}, {counted(cell.n, 'seed')}{missing}"
    if row.collapse is not None:
        words += f" · F* {number(row.collapse)} {dose_interval(row.interval)}"
    elif row.point is not None:
        words += f" · {row.point.status.replace('_', ' ')}"
    return words


def tail_words(row: MapRow) -> str:
    """What stands beside a row."""
    if row.collapse is None:
        return ""
    return f"F* {number(row.collapse)} {dose_interval(row.interval)}"


def longest(words: Sequence[str]) -> int:
    return max(map(len, words), default=0)
