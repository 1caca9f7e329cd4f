"""What retention is drawn over: the infusion frequency, or what it stands for in the text that was read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.errors import SpecError, nearest
from engine.records.analysis import DosePoint, Score


class DoseAxis(NamedTuple):
    """One axis; `of` gives a dose's place on it, None where that is not known."""

    name: str
    """As `--over` has it."""
    label: str
    of: Callable[[DosePoint], float | None]


def _mean_over_seeds(value_of: Callable[[Score], float | None]) -> Callable[[DosePoint], float | None]:
    def of(point: DosePoint) -> float | None:
        known = [value for score in point.values if (value := value_of(score)) is not None]
        return sum(known) / len(known) if known else None

    return of


FREQUENCY = DoseAxis("frequency", "F", lambda point: float(point.frequency))
EXPOSURES = DoseAxis("exposures", "prior exposures", _mean_over_seeds(lambda score: score.prior_exposures))
SHARE = DoseAxis("share", "infused share of tokens", _mean_over_seeds(lambda score: score.infused_share))
DOSE_AXES = (FREQUENCY, EXPOSURES, SHARE)


def dose_axis(name: str) -> DoseAxis:
    """The axis of that name. SpecError where there is none."""
    for axis in DOSE_AXES:
        if axis.name == name:
            return axis
    names = [axis.name for axis in DOSE_AXES]
    raise SpecError("no such axis.", key="--over", value=name, mend=nearest(name, names))
