"""From snapshots to series: which curves each plot shows."""

from __future__ import annotations

import math
from typing import Any

from engine.spec.axes import format_count
from engine.spec.models import next_size_up
from kitui.snapshot import Snapshot
from kitui.widgets.curve_plot import Series, VerticalMark


def retention_series(snapshot: Snapshot, fact_set: str) -> list[Series]:
    """Retention over F, a curve a condition: means of finished seeds; hollow, what running runs last scored."""
    curves = [c for c in (snapshot.law or {"curves": []})["curves"] if c["fact_set"] == fact_set]
    series = []
    for index, curve in enumerate(curves):
        points = [p for p in curve["points"] if p["frequency"] > 0]
        series.append(
            Series(
                label=_condition_label(curve["condition"], [c["condition"] for c in curves]),
                x=tuple(p["frequency"] for p in points),
                y=tuple(p["mean"] for p in points),
                colour=index,
            )
        )
    sizes = list(dict.fromkeys(c.num_params for c in snapshot.plan.cells)) if snapshot.plan else []
    for row in snapshot.rows:
        live = snapshot.curves.get(row["run_id"])
        if row["state"] != "running" or row["frequency"] == 0 or live is None or not live.retention.get(fact_set):
            continue
        same_size = [i for i, c in enumerate(curves) if c["condition"]["num_params"] == row["params"]]
        place = same_size[0] if same_size else sizes.index(row["params"])
        last = live.retention[fact_set][-1]
        series.append(Series("", (row["frequency"],), (last,), place, line=False, hollow=True))
    return series


def frequency_limits(snapshot: Snapshot) -> tuple[float, float] | None:
    """The doses of the grid, so that the axis stands still while results come in."""
    doses = [c.frequency for c in snapshot.plan.cells if c.frequency > 0] if snapshot.plan else []
    return (min(doses), max(doses)) if doses and min(doses) < max(doses) else None


def token_limits(snapshot: Snapshot) -> tuple[float, float] | None:
    tokens = [c.total_tokens or c.num_tokens for c in snapshot.plan.cells] if snapshot.plan else []
    return (0, max(tokens)) if tokens else None


def law_limits(snapshot: Snapshot) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Limits of the law plot: the planned sizes and the next one up, and whole octaves of F (in log2) that hold all
    that is drawn, so that a refit seldom moves the view."""
    doses = [y for s in law_series(snapshot) for y in s.y if y]
    if not doses or snapshot.plan is None:
        return None, None
    sizes = [cell.num_params for cell in snapshot.plan.cells]
    return (
        (min(sizes), next_size_up(max(sizes)).num_params),
        (math.floor(math.log2(min(doses))), math.ceil(math.log2(max(doses)))),
    )


def learning_series(snapshot: Snapshot, run_ids: list[str], fact_set: str) -> list[Series]:
    """Retention over tokens of the chosen runs."""
    rows = {row["run_id"]: row for row in snapshot.rows}
    series = []
    for index, run_id in enumerate(run_ids):
        curve = snapshot.curves.get(run_id)
        if curve is None or run_id not in rows or not curve.retention.get(fact_set):
            continue
        row = rows[run_id]
        label = f"{row['model']} F={row['frequency']} s{row['seed']}" if len(run_ids) > 1 else ""
        series.append(Series(label, curve.tokens, curve.retention[fact_set], index))
    return series


def collapse_marks(snapshot: Snapshot) -> list[VerticalMark]:
    """The observed collapse points, in the colours of their curves."""
    points = snapshot.law["law"]["collapse_points"] if snapshot.law else []
    return [VerticalMark(p["frequency"], i) for i, p in enumerate(points) if p["frequency"]]


def law_series(snapshot: Snapshot) -> list[Series]:
    """F* over N with intervals as upright lines, the law, and its prediction band."""
    if snapshot.law is None:
        return []
    law = snapshot.law["law"]
    series: list[Series] = []
    for number, one in enumerate(law["laws"]):
        sizes = tuple(row["num_params"] for row in one["band"])
        colour = len(law["collapse_points"]) + 2 * number
        edges = (tuple(row[edge] for row in one["band"]) for edge in ("low", "high"))
        series.extend(Series("", sizes, edge, colour + 1, points=False) for edge in edges)
        middle = tuple(row["frequency"] for row in one["band"])
        series.append(Series("law" if sizes else "", sizes, middle, colour, points=False))
    # Drawn last, the points lie on top.
    for index, point in enumerate(law["collapse_points"]):
        if point["frequency"] is not None:
            size = point["condition"]["num_params"]
            ends = [end for end in point["interval"] if end is not None]
            if len(ends) == 2:
                series.append(Series("", (size, size), tuple(ends), index, points=False))
            series.append(Series(format_count(size), (size,), (point["frequency"],), index, line=False))
    return series


def _condition_label(condition: dict[str, Any], among: list[dict[str, Any]]) -> str:
    """The size, and whatever else differs between the curves shown."""
    label = format_count(condition["num_params"])
    if len({c["num_tokens"] for c in among}) > 1:
        label += f" D={format_count(condition['num_tokens'])}"
    if len({c["templates"] for c in among}) > 1:
        label += f" {condition['templates']} templ."
    return label
