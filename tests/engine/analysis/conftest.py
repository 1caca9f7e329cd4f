"""Simulated sweeps with a known truth."""

from __future__ import annotations

from engine.analysis.collapse import CollapsePoint, collapse_point
from engine.analysis.curves import Curve, Observation, gather
from engine.analysis.scatter import pooled_scatter
from engine.analysis.simulate import Truth, power_law

DOSES = (0, 1, 2, 4, 8, 16, 32, 48, 64, 96, 128)


def truth(**changes: object) -> Truth:
    made = Truth(collapse=power_law(40, 0.3, 50_000), sizes=(50_000,), frequencies=DOSES)
    return made._replace(**changes)


def points(observations: list[Observation], fact_set: str = "overall") -> list[CollapsePoint]:
    curves = gather(observations)
    scatter = pooled_scatter(curves)
    return [collapse_point(c, scatter) for c in curves if c.fact_set == fact_set]


def curve(observations: list[Observation], fact_set: str = "overall") -> Curve:
    return next(c for c in gather(observations) if c.fact_set == fact_set)
