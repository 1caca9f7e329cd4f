"""From snapshots to series: which curves each plot shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from engine.records.analysis import (
    AnalysisDocument,
    BandPoint,
    CollapsePoint,
    LawDocument,
    Prediction,
    PredictionDocument,
    RetentionCurve,
    SweepLaw,
    size_names,
)
from engine.records.plan import Plan
from engine.spec import fact_sets
from kitui.services.dose_axes import FREQUENCY, DoseAxis
from kitui.services.labels import condition_label, size_label
from kitui.services.learning_curve import LearningCurve
from kitui.services.palette import Look, looks
from kitui.services.rows import mean_sd
from kitui.tui.live.snapshot import Snapshot
from kitui.tui.plot.figure import Mark, Series

LOSS = "loss"
SHOWN = (*fact_sets.NAMES, LOSS)
"""What plots can show of runs: retention of a fact set, or the training loss."""
MAX_CURVES = 24
FREQUENCY_NAME = "F, writings of a fact"
_NAN = float("nan")
Looks = Mapping[float, Look]


def looks_of(plan: Plan | None) -> Looks:
    """How the sizes of a sweep are drawn, on every screen alike."""
    return looks([cell.num_params for cell in plan.cells] if plan is not None else ())


def retention_series(snapshot: Snapshot, fact_set: str) -> list[Series]:
    """Retention over F, a curve a condition: the fitted curve in its band, means of finished seeds ± sd; hollow, what
    running runs last scored."""
    document = snapshot.analysis
    sizes = looks_of(snapshot.plan)
    series = fitted_series(document, fact_set, sizes) if document is not None else []
    for row in snapshot.rows:
        if not row.status.has_begun:
            continue
        live = snapshot.curves.get(row.run_id)
        last = live.last(fact_set) if live else None
        if row.frequency and last is not None:
            look = sizes[row.params]
            series.append(Series("", (row.frequency,), (last,), look.colour, line=False, hollow=True))
    return series


def fitted_series(
    document: AnalysisDocument,
    fact_set: str,
    sizes: Looks,
    *,
    axis: DoseAxis = FREQUENCY,
    keep: Iterable[RetentionCurve] | None = None,
) -> list[Series]:
    """The curves of a document (`keep`: only these) with the fits that it has of them."""
    curves = [c for c in (document.curves if keep is None else keep) if c.fact_set == fact_set]
    conditions, names = [c.condition for c in curves], size_names(document.sizes)
    fits = {p.condition: p for p in document.law.collapse_points} if document.law.fact_set == fact_set else {}
    are_alone = len({c.num_params for c in conditions}) == len(conditions)
    found: list[Series] = []
    for index, curve in enumerate(curves):
        label = condition_label(curve.condition, conditions, names)
        look = sizes.get(curve.condition.num_params, Look(0, 0))
        look = look if are_alone else Look(look.colour, index)
        found += curve_series(curve, label, look, axis=axis, point=fits.get(curve.condition))
    return found


def curve_series(
    curve: RetentionCurve,
    label: str,
    look: Look,
    *,
    hollow: bool = False,
    axis: DoseAxis = FREQUENCY,
    point: CollapsePoint | None = None,
) -> list[Series]:
    """One retention curve of an analysis: means over seeds, with upright lines of one standard deviation, and the
    fitted curve in its band where `point` has one; else lines from mean to mean. F = 0 has a place on axes of what was
    read, and one of its own left of that of frequencies, which is logarithmic."""
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
    fitted = point.fitted if point is not None and axis is FREQUENCY else None
    zero = next((p.mean for p in known if p.frequency == 0), None) if axis is FREQUENCY else None
    found = []
    if fitted is not None:
        band = (fitted.low, fitted.high)
        found.append(
            Series("", fitted.frequencies, fitted.retention, look.colour, points=False, band=band, group=label)
        )
    places = tuple(axis.of(p) or 0.0 for p, _ in points)
    found.append(
        Series(
            label, places, means, look.colour, line=fitted is None, spread=spread, hollow=hollow, symbol=look.marker,
            zero=zero, group=label,
        )
    )  # fmt: skip
    return found


def collapse_marks(
    document: LawDocument | None, sizes: Looks, points: Sequence[CollapsePoint] | None = None
) -> list[Mark]:
    """The observed collapse points with their intervals, on the fitted curves, in the colours of their sizes."""
    if document is None:
        return []
    chosen = document.collapse_points if points is None else points
    conditions, names = [p.condition for p in chosen], size_names(document.sizes)
    marks = []
    for point in chosen:
        if point.collapse_frequency is not None:
            look = sizes.get(point.condition.num_params, Look(0, 0))
            y = point.fitted.at(point.collapse_frequency) if point.fitted is not None else None
            group = condition_label(point.condition, conditions, names)
            marks.append(Mark(point.collapse_frequency, look.colour, y, *point.interval, group))
    return marks


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
    series = law_series(law, points, target, {})
    doses = [y for s in series for y in s.y if y]
    if not doses:
        return None, None
    sizes = [float(p.condition.num_params) for p in points] + [x for s in series for x in s.x]
    low, high = math.floor(math.log2(min(doses))), math.ceil(math.log2(max(doses)))
    return (min(sizes), max(sizes) if max(sizes) > min(sizes) else 2 * min(sizes)), (2.0**low, 2.0**high)


def learning_series(snapshot: Snapshot, groups: Sequence[tuple[str, ...]], fact_set: str) -> list[Series]:
    """Retention (or loss) over tokens, a curve a group of runs: the mean of its seeds with a band of ± one sd."""
    rows = {row.run_id: row for row in snapshot.rows} if groups else {}
    sizes = looks_of(snapshot.plan)
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
        look = Look(sizes[row.params].colour, len(series)) if row.params in sizes else Look(len(series), len(series))
        if len(drawn) == 1:
            series.append(
                Series(label, drawn[0][1], drawn[0][2], look.colour, points=points, symbol=look.marker, group=label)
            )
        else:
            series.append(_mean_series(label, [(x, y) for _, x, y in drawn], look, points))
    return series


def _values(curve: LearningCurve, fact_set: str) -> tuple[Sequence[float], Sequence[float]]:
    if fact_set == LOSS:
        return curve.loss_tokens, curve.loss
    return curve.tokens, curve.retention.get(fact_set, ())


def _mean_series(label: str, curves: list[tuple[Sequence[float], Sequence[float]]], look: Look, points: bool) -> Series:
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
    return Series(label, tuple(tokens), means, look.colour, points=points, band=band, symbol=look.marker, group=label)


def law_series(
    law: LawDocument, points: Sequence[CollapsePoint], target: Prediction | None, sizes: Looks
) -> list[Series]:
    """F* over N with intervals as upright lines, the law in its band over the data and the `target`; hollow, what is
    predicted for that."""
    series: list[Series] = []
    names = size_names(law.sizes)
    for one in law.laws:
        band = _band_to(target, one)
        places = tuple(row.num_params for row in band)
        ends = tuple(tuple(_NAN if end is None else end for end in side) for side in
                     ([row.low for row in band], [row.high for row in band]))  # fmt: skip
        middle = tuple(row.collapse_frequency for row in band)
        filled = (ends[0], ends[1]) if places else None
        series.append(Series("law", places, middle, _OF_LAW, points=False, band=filled, group="law"))
    # Drawn last, the points lie on top.
    for point in points:
        if point.collapse_frequency is not None:
            size = point.condition.num_params
            look = sizes.get(size, Look(0, 0))
            both = [end for end in point.interval if end is not None]
            spread = ((both[0],), (both[1],)) if len(both) == 2 else None
            label = size_label(size, names)
            series.append(
                Series(
                    label, (size,), (point.collapse_frequency,), look.colour, line=False, spread=spread,
                    symbol=look.marker, named=True, group=label,
                )
            )  # fmt: skip
    true = [(point.num_params, point.frequency) for point in law.truth if point.frequency is not None]
    if true and points:
        sizes_of, places_of = zip(*true, strict=True)
        series.append(Series("truth", sizes_of, places_of, _OF_TRUTH, line=False, symbol=_CROSS, group="truth"))
    if target is not None and target.collapse_frequency is not None:
        aim, ends_at = target.condition.num_params, target.interval
        spread = None
        if ends_at is not None and ends_at[0] is not None and ends_at[1] is not None:
            spread = ((ends_at[0],), (ends_at[1],))
        label = target.model or size_label(aim, names)
        series.append(
            Series(
                label, (aim,), (target.collapse_frequency,), _OF_TARGET, line=False, hollow=True, spread=spread,
                named=True, group=f"target {label}",
            )
        )  # fmt: skip
    return series


_OF_LAW, _OF_TARGET, _OF_TRUTH = 3, 0, 5
"""Places in the palette."""
_CROSS = 6
"""A place among the markers."""


def _band_to(target: Prediction | None, law: SweepLaw) -> Sequence[BandPoint]:
    """The law over the data and the target, where one was asked of this law; else over the data and the next size."""
    if isinstance(target, PredictionDocument) and target.band:
        own = law.condition.by_field()
        if all(target.condition.by_field().get(name) == value for name, value in own.items()):
            return target.band
    return law.band
