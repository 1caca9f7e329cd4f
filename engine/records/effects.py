"""What differs between groups of curves: numbers of templates, and the infused and the neutral arm."""

from __future__ import annotations

from typing import Literal

from engine.records.conditions import Condition
from engine.records.intervals import ClosedInterval, Interval
from engine.records.record import Record


class CollapseEffect(Record, frozen=True, kw_only=True):
    """The difference of ln F*, over pairs of curves."""

    difference_ln: float
    interval: ClosedInterval
    p: float
    num_pairs: int


class TemplateEffect(Record, frozen=True, kw_only=True):
    """R with the most templates less R with the fewest, its 95 % interval, and p, over pairs of curves that agree in
    all else."""

    difference: float
    interval: Interval
    p: float
    templates: tuple[int, int]
    """The fewest and the most."""
    num_pairs: int
    unit: Literal["curve", "seed"]
    """What was exchanged; of `seed`, that curves err as a whole is not in the interval."""
    collapse: CollapseEffect | None = None


class MechanismCell(Record, frozen=True, kw_only=True):
    """Prior retention of the two arms at one dose of one curve."""

    condition: Condition
    frequency: int | float
    retention: tuple[float, float]
    """Of the neutral arm, and of the infused one."""
    interference: float
    """Infused less neutral."""
    interference_interval: ClosedInterval | None
    dilution: float
    """The neutral arm less what it was."""
    dilution_interval: ClosedInterval | None
    dilution_since: int | float
    """At this dose."""
    prior_exposures: float | None
    """How often each prior fact was still read in the infused arm."""


class CollapseDifference(Record, frozen=True, kw_only=True):
    """ln F* of the infused arm less that of the neutral one, at one size."""

    condition: Condition
    difference_ln: float
    interval: Interval


class Mechanism(Record, frozen=True, kw_only=True):
    """The infused arm against the neutral one: prior retention of the first less that of the second, over pairs of
    curves that agree in all but the fill; below zero where infused text does more than take room."""

    difference: float
    interval: Interval
    p: float
    unit: Literal["curve", "seed"]
    num_pairs: int
    collapse: CollapseEffect | None = None
    """Of ln F*, over three pairs or more."""
    collapse_points: tuple[CollapseDifference, ...] = ()
    cells: tuple[MechanismCell, ...]
