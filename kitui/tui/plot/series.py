"""From snapshots to series: which curves each plot shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.records.analysis import CollapsePoint, LawDocument, Prediction, RetentionCurve, SweepLaw
from engine.spec import fact_sets
from engine.spec.numbers import format_count
from kitui.services.dose_axes import FREQUENCY, DoseAxis
from kitui.services.labels import condition_label
from kitui.services.learning_curve import LearningCurve
from kitui.services.rows import mean_sd
from kitui.tui.live.snapshot import Snapshot
from kitui.tui.plot.figure import Series, VerticalMark

LOSS = "loss"
SHOWN = (*fact_sets.NAMES, LOSS)
"""What plots can show of runs: retention of a fact set, or the training loss."""
MAX_CURVES = 24
_NAN = float("nan")


def retention_series(snapshot: Snapshot, fact_set: str) -> list[Series]:
    """Retention over F, a curve a condition: means of finished seeds ± sd; hollow, what running runs last scored."""
    found = snapshot.analysis.curves if snapshot.analysis is not None else ()
    curves = [c for c in found if c.fact_set == fact_set]
    series = [
        curve_series(curve, condition_label(curve.condition, [c.condition for c in curves]), index)
        for index, curve in enumerate(curves)
    ]
    sizes = list(dict.fromkeys(c.num_params for c in snapshot.plan.cells)) if snapshot.plan else []
    running = [row for row in snapshot.rows if row.status.has_begun]
    for row in running:
        live = snapshot.curves.get(row.run_id)
        last = live.last(fact_set) if live else None
        if row.frequency and last is not None:
            same_size = [i for i, c in enumerate(curves) if c.condition.num_params == row.params]
            place = same_size[0] if same_size else sizes.index(row.params)
            series.append(Series("", (row.frequency,), (last,), place, line=False, hollow=True))
    return series


def curve_series(
    curve: RetentionCurve, label: str, colour: int, *, hollow: bool = False, axis: DoseAxis = FREQUENCY
) -> Series:
    """One retention curve of an analysis: means over seeds, with upright lines of one standard deviation. F = 0 has a
    place on axes of what was read, and none on that of frequencies, which is logarithmic."""
    known = [p for p in curve.points if p.mean is not None and axis.of(p) is not None]
    points = [(p, p.mean or 0.0) for p in known if p.frequency > 0 or axis is not FREQUENCY]
    points.sort(key=lambda pair: axis.of(pair[0]) or 0.0)
    sds = [p.sd if p.sd is not None else _NAN for p, _ in points]
    means = tuple(mean for _, mean in points)
    spread = None
    if any(sd == sd for sd in sds):
        spread = (
            tuple(m - s for m, s in zip(means, sds, strict=True)),
            tuple(m + s for m, s in zip(means, sds, strict=True)),
        )
    places = tuple(axis.of(p) or 0.0 for p, _ in points)
    return Series(label, places, means, colour, spread=spread, hollow=hollow)


def frequency_limits(snapshot: Snapshot) -> tuple[float, float] | None:
    """The doses of the grid, so that the axis stands still while results come in."""
    doses = [c.frequency for c in snapshot.plan.cells if c.frequency > 0] if snapshot.plan else []
    return (min(doses), max(doses)) if doses and min(doses) < max(doses) else None


def token_limits(snapshot: Snapshot) -> tuple[float, float] | None:
    tokens = [c.total_tokens or c.num_tokens for c in snapshot.plan.cells] if snapshot.plan else []
    return (0, max(tokens)) if tokens else None


def law_limits(
    law: LawDocument, points: Sequence[CollapsePoint], target: Prediction | None = None
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Limits of the law plot: the sizes with the next one up and the target, and whole octaves of F that hold all that
    is drawn, so that a refit seldom moves the view."""
    series = law_series(law, points, target)
    doses = [y for s in series for y in s.y if y]
    if not doses:
        return None, None
    sizes = [float(p.condition.num_params) for p in points] + [x for s in series for x in s.x]
    low, high = math.floor(math.log2(min(doses))), math.ceil(math.log2(max(doses)))
    return (min(sizes), max(sizes) if max(sizes) > min(sizes) else 2 * min(sizes)), (2.0**low, 2.0**high)


def learning_series(snapshot: Snapshot, groups: Sequence[tuple[str, ...]], fact_set: str) -> list[Series]:
    """Retention (or loss) over tokens, a curve a group of runs: the mean of its seeds with a band of ± one sd."""
    rows = {row.run_id: row for row in snapshot.rows} if groups else {}
    series: list[Series] = []
    for group in groups[:MAX_CURVES]:
        members = [(rows[r], snapshot.curves[r]) for r in group if r in rows and r in snapshot.curves]
        drawn = [(row, *_values(curve, fact_set)) for row, curve in members]
        drawn = [one for one in drawn if one[2]]
        if not drawn:
            continue
        row = drawn[0][0]
        label = f"{row.model} F={row.frequency}" if len(groups) > 1 or len(group) > 1 else ""
        label += f" s{row.seed}" if label and len(group) == 1 else f" n={len(drawn)}" if label else ""
        points = len(drawn[0][1]) <= 60
        if len(drawn) == 1:
            series.append(Series(label, drawn[0][1], drawn[0][2], len(series), points=points))
        else:
            series.append(_mean_series(label, [(x, y) for _, x, y in drawn], len(series), points))
    return series


def _values(curve: LearningCurve, fact_set: str) -> tuple[Sequence[float], Sequence[float]]:
    if fact_set == LOSS:
        return curve.loss_tokens, curve.loss
    return curve.tokens, curve.retention.get(fact_set, ())


def _mean_series(
    label: str, curves: list[tuple[Sequence[float], Sequence[float]]], colour: int, points: bool
) -> Series:
    """The mean at each number of tokens that any seed has reached, over the seeds that have, and ± one sd."""
    at: dict[float, list[float | None]] = {}
    for x, y in curves:
        for xi, yi in zip(x, y, strict=True):
            at.setdefault(xi, []).append(yi if yi == yi else None)
    tokens = sorted(at)
    moments = [mean_sd(at[t]) for t in tokens]
    means = tuple(_NAN if m is None else m for m, _ in moments)
    sds = tuple(_NAN if s is None else s for _, s in moments)
    band = (
        tuple(m - s for m, s in zip(means, sds, strict=True)),
        tuple(m + s for m, s in zip(means, sds, strict=True)),
    )
    return Series(label, tuple(tokens), means, colour, points=points, band=band)


def collapse_marks(points: Sequence[CollapsePoint]) -> list[VerticalMark]:
    """The observed collapse points, in the colours of their curves."""
    return [VerticalMark(p.collapse_frequency, i) for i, p in enumerate(points) if p.collapse_frequency]


def _sides(law: SweepLaw) -> tuple[list[float | None], list[float | None]]:
    """The lower and the upper side of a law's band."""
    return [row.low for row in law.band], [row.high for row in law.band]


def law_series(law: LawDocument, points: Sequence[CollapsePoint], target: Prediction | None = None) -> list[Series]:
    """F* over N with intervals as upright lines, the law, and its prediction band; hollow, what is predicted for a
    `target`."""
    series: list[Series] = []
    for number, one in enumerate(law.laws):
        sizes = tuple(row.num_params for row in one.band)
        colour = len(points) + 2 * number
        edges = [tuple(_NAN if end is None else end for end in side) for side in _sides(one)]
        series.extend(Series("", sizes, edge, colour + 1, points=False) for edge in edges)
        middle = tuple(row.collapse_frequency for row in one.band)
        series.append(Series("law" if sizes else "", sizes, middle, colour, points=False))
    # Drawn last, the points lie on top.
    for index, point in enumerate(points):
        if point.collapse_frequency is not None:
            size = point.condition.num_params
            ends = [end for end in point.interval if end is not None]
            spread = ((ends[0],), (ends[1],)) if len(ends) == 2 else None
            series.append(
                Series(format_count(size), (size,), (point.collapse_frequency,), index, line=False, spread=spread)
            )
    if target is not None:
        aim, ends_at = target.condition.num_params, target.interval
        spread = None
        if ends_at is not None and ends_at[0] is not None and ends_at[1] is not None:
            spread = ((ends_at[0],), (ends_at[1],))
        place, found = len(points), target.collapse_frequency
        series.append(Series(format_count(aim), (aim,), (found,), place, line=False, hollow=True, spread=spread))
    return series
