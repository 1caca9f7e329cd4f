"""Why does retention of prior facts fall: because infused text takes their place, or because it interferes?

Two arms are compared at equal F: the infused one, and the neutral one, where text without facts is written over the
very same stretches. What the neutral arm falls is dilution; what the infused arm falls further is interference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from scipy.stats import t as student_t

from engine.analysis.curves import Curve, Observation
from engine.analysis.likelihood import Array
from engine.analysis.paired import Member, Pair, common_doses, paired_effect, pairs_of
from engine.records.analysis import CollapsePoint, RetentionCurve
from engine.records.conditions import Condition
from engine.records.effects import CollapseDifference, Mechanism, MechanismCell
from engine.records.intervals import ClosedInterval
from engine.spec.fact_sets import PRIOR

NEUTRAL, INFUSED = "neutral", "infused"


def mechanism(curves: Sequence[RetentionCurve], points: Sequence[CollapsePoint]) -> Mechanism | None:
    """The two arms' prior retention compared, in pairs of curves that agree in all but the fill; None without a
    pair."""
    found = {p.condition: p for p in points}
    members = [Member(_curve(c), found.get(c.condition)) for c in curves if c.fact_set == PRIOR.name]
    pairs = pairs_of(members, lambda condition: condition.fill, _without_fill, (NEUTRAL, INFUSED))
    if not pairs:
        return None
    effect = paired_effect(pairs)
    return Mechanism(
        difference=effect.difference,
        interval=effect.interval,
        p=effect.p,
        unit=effect.unit,
        num_pairs=len(pairs),
        collapse=effect.collapse,
        collapse_points=tuple(difference for pair in pairs if (difference := _of_points(pair)) is not None),
        cells=tuple(_cells(pairs)),
    )


def _without_fill(condition: Condition) -> Condition:
    """Neutral text may pack otherwise: the ceiling is no part of what has to agree."""
    return msgspec.structs.replace(condition, fill=None, ceiling_frequency=None)


def _curve(record: RetentionCurve) -> Curve:
    """A curve with the observations that a document has of it."""
    observations = tuple(
        Observation(
            record.condition, point.frequency, v.seed, record.fact_set, v.retention, None, None, None, v.prior_exposures
        )
        for point in record.points
        for v in point.values
        if not v.is_dead
    )
    return Curve(record.condition, record.fact_set, observations, (), {})


def _cells(pairs: Sequence[Pair]) -> list[MechanismCell]:
    """Dose by dose. Seeds are the same in both arms, and are paired; how much their differences scatter is pooled over
    all cells, since few seeds would not tell it alone."""
    places = [(pair, frequency) for pair in pairs for frequency in common_doses(pair)]
    first = [min(o.frequency for o in pair[0].curve.observations) for pair, _ in places]
    interference = [_by_seed(_scores(p[1], f), _scores(p[0], f)) for p, f in places]
    dilution = [_by_seed(_scores(p[0], f), _scores(p[0], since)) for (p, f), since in zip(places, first, strict=True)]
    of_interference = _Scatter.of(interference)
    of_dilution = _Scatter.of([cell for cell, since, (_, f) in zip(dilution, first, places, strict=True) if since != f])
    cells = []
    for (pair, frequency), since, between, fallen in zip(places, first, interference, dilution, strict=True):
        infused = pair[1].curve
        exposures = [o.prior_exposures for o in infused.at(frequency) if o.prior_exposures is not None]
        cells.append(
            MechanismCell(
                condition=infused.condition,
                frequency=frequency,
                retention=(_mean(_scores(pair[0], frequency)), _mean(_scores(pair[1], frequency))),
                interference=float(between.mean()),
                interference_interval=of_interference.interval(between),
                dilution=float(fallen.mean()),
                dilution_interval=of_dilution.interval(fallen) if since != frequency else None,
                dilution_since=since,
                prior_exposures=float(np.mean(exposures)) if exposures else None,
            )
        )
    return cells


def _scores(member: Member, frequency: float) -> dict[int, float]:
    return {o.seed: o.retention for o in member.curve.at(frequency)}


def _mean(by_seed: dict[int, float]) -> float:
    return float(np.mean(list(by_seed.values())))


def _by_seed(one: dict[int, float], other: dict[int, float]) -> Array:
    """The first less the second, seed by seed; of their means where they have no seed in common."""
    shared = sorted(one.keys() & other.keys())
    return np.array([one[seed] - other[seed] for seed in shared] if shared else [_mean(one) - _mean(other)])


class _Scatter(NamedTuple):
    """The standard deviation of a seed's difference, pooled over cells, and its degrees of freedom."""

    sd: float
    df: int

    @staticmethod
    def of(cells: Sequence[Array]) -> _Scatter:
        df = sum(len(cell) - 1 for cell in cells)
        squares = sum(float(((cell - cell.mean()) ** 2).sum()) for cell in cells)
        return _Scatter(math.sqrt(squares / df) if df else 0.0, df)

    def interval(self, cell: Array) -> ClosedInterval | None:
        """95 %; None where no cell has two seeds."""
        if not self.df:
            return None
        half = float(student_t.ppf(0.975, self.df)) * self.sd / math.sqrt(len(cell))
        return float(cell.mean()) - half, float(cell.mean()) + half


def _of_points(pair: Pair) -> CollapseDifference | None:
    """ln F* of the infused arm less that of the neutral one, with the interval that the two intervals make (Zou and
    Donner 2008, their MOVER for a difference); None where one arm has no F*."""
    neutral, infused = (member.point for member in pair)
    if neutral is None or infused is None or not (neutral.collapse_frequency and infused.collapse_frequency):
        return None
    ends = [[end and math.log(end) for end in point.interval] for point in (neutral, infused)]
    at = [math.log(point.collapse_frequency or 1) for point in (neutral, infused)]
    difference, (below, above) = at[1] - at[0], zip(*ends, strict=True)
    low = high = None
    if below[1] is not None and above[0] is not None:
        low = difference - math.hypot(at[1] - below[1], above[0] - at[0])
    if above[1] is not None and below[0] is not None:
        high = difference + math.hypot(above[1] - at[1], at[0] - below[0])
    condition = pair[1].curve.condition
    return CollapseDifference(condition=condition, difference_ln=difference, interval=(low, high))
