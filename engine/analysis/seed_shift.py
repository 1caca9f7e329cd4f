"""How far seeds shift a curve's fall sideways: the standard deviation of log2 F* from seed to seed, pooled.

Each seed's own curve is read where it last crosses a share of the curve's highest mean, linearly between doses; the
variance of those places over seeds, less what the scatter of single runs would make of them, is the shift's. The F* of
a curve is its median seed's: with few seeds it is off by the shift over the root of their number, and its interval has
to have room for that.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from engine.analysis.curves import Curve
from engine.analysis.scatter import Scatter, variance_of_run

_SHARE = 0.6
_PLAIN_FALL = 4.0
"""Standard deviations of a single run."""
_LARGEST_OCTAVES, _USUAL_OCTAVES = 1.0, 0.2


def shift_octaves(curves: Iterable[Curve], scatter: Scatter) -> float:
    """The shift of these curves, of one fact set; 0 where no more is seen than single runs scatter."""
    excess, weights = 0.0, 0.0
    for curve in curves:
        places, errors = _crossings(curve, scatter)
        if len(places) > 1:
            error = float(np.mean(errors))
            weight = (len(places) - 1) / (error + _USUAL_OCTAVES**2) ** 2  # a shallow fall says little of its place
            excess += weight * (float(np.var(places, ddof=1)) - error)
            weights += weight
    return min(math.sqrt(max(excess, 0.0) / weights), _LARGEST_OCTAVES) if weights else 0.0


def _crossings(curve: Curve, scatter: Scatter) -> tuple[list[float], list[float]]:
    """Where each seed's curve falls under the share for good, in log2 F, and the variance of that place that the
    scatter of its runs makes; of seeds that do fall within the doses."""
    by_seed: dict[int, dict[float, float]] = defaultdict(dict)
    by_dose: dict[float, list[float]] = defaultdict(list)
    for o in curve.observations:
        if o.frequency > 0 and not scatter.is_dead(o):
            by_seed[o.seed][o.frequency] = o.retention
            by_dose[o.frequency].append(o.retention)
    if not by_dose:
        return [], []
    means = {frequency: sum(values) / len(values) for frequency, values in by_dose.items()}
    top = max(means.values())
    level = _SHARE * top
    if top - means[max(means)] < _PLAIN_FALL * math.sqrt(variance_of_run(curve, scatter, level)):
        return [], []  # what falls by less than seeds scatter has no place where it falls
    places, errors = [], []
    for values in by_seed.values():
        doses = sorted(values)
        crossing = _last_crossing(doses, [values[f] for f in doses], level)
        if crossing is not None:
            place, slope = crossing
            places.append(place)
            errors.append(variance_of_run(curve, scatter, level) / slope**2)
    return places, errors


def _last_crossing(doses: Sequence[float], values: Sequence[float], level: float) -> tuple[float, float] | None:
    """The place in log2 F, and the slope there; None where the values end above the level, or never reach it."""
    above = [i for i, value in enumerate(values) if value >= level]
    if not above or above[-1] == len(values) - 1:
        return None
    i = above[-1]
    x, next_x = math.log2(doses[i]), math.log2(doses[i + 1])
    slope = (values[i] - values[i + 1]) / (next_x - x)
    return x + (values[i] - level) / slope, slope
