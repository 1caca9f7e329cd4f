"""Simulated sweeps with a known truth."""

from __future__ import annotations

import numpy as np

from engine.analysis.collapse import Collapse, collapses_of
from engine.analysis.curves import Curve, Observation, gather, observation_of_counts
from engine.analysis.dead_runs import scatter_of
from engine.analysis.simulate import Truth, power_law, simulate
from engine.records.analysis import CollapsePoint

DOSES = (0, 1, 2, 4, 8, 16, 32, 48, 64, 96, 128)


def truth(**changes: object) -> Truth:
    made = Truth(collapse=power_law(40, 0.3, 50_000), sizes=(50_000,), frequencies=DOSES)
    return made._replace(**changes)


def collapses(observations: list[Observation], fact_set: str = "overall") -> list[Collapse]:
    curves = gather(observations)
    return collapses_of([c for c in curves if c.fact_set == fact_set], scatter_of(curves))


def points(observations: list[Observation], fact_set: str = "overall") -> list[CollapsePoint]:
    return [collapse.point for collapse in collapses(observations, fact_set)]


def curve(observations: list[Observation], fact_set: str = "overall") -> Curve:
    return next(c for c in gather(observations) if c.fact_set == fact_set)


def observations(levels: dict[int, float], *, num_seeds: int = 3, num_questions: int = 400) -> list[Observation]:
    """One unnamed fact set at these levels, with binomial noise."""
    condition = simulate(truth(), 0)[0].condition
    rng = np.random.default_rng(0)
    return [
        observation_of_counts(
            condition, f, seed, "", int(rng.binomial(num_questions, 0.25 + 0.75 * level)), num_questions, 4
        )
        for f, level in levels.items()
        for seed in range(num_seeds)
    ]
