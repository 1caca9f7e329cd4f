"""The truths, and sweeps drawn from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from engine.analysis.collapse import Collapse, collapses_of
from engine.analysis.curves import Observation, gather, observation_of_counts
from engine.analysis.dead_runs import scatter_of
from engine.analysis.likelihood import Array
from engine.records.conditions import Condition

Curve = Callable[[Array], Array]


def rise(x: Array) -> Array:
    return np.asarray(0.1 + 0.9 * expit((x - 3) / 0.5))


# Each takes the place of its fall and a number in 0 … 1 for what else varies; x = log2 F.
TRUTHS: dict[str, Callable[[float, float], Curve]] = {
    "double logistic": lambda c, r: lambda x: 0.95 * rise(x) * (1 - 0.93 * expit((x - c) / (0.15 + 0.35 * r))),
    "trapezoid": lambda c, r: lambda x: np.interp(x, [1, 3.2, c, c + 1 + 1.2 * r, 14], [0.1, 0.9, 0.9, 0.15, 0.15]),
    "tent in logit": lambda c, r: lambda x: expit(3 - 1.2 * np.maximum(c - x, 0) - 1.5 * np.maximum(x - c, 0)),
    "cliff": lambda c, r: lambda x: np.where(x <= c, 0.9 * rise(x), 0.2),
    "flat, then a cliff": lambda c, r: lambda x: np.where(x <= c, 0.9, 0.2),
    "Hill fall (no family)": lambda c, r: lambda x: 0.9 * rise(x) / (1 + 2 ** (1.3 * (x - c - 0.5))),
    "Gaussian (no family)": lambda c, r: lambda x: 0.9 * np.exp(-0.5 * ((x - c + 0.5) / 1.6) ** 2),
}
NEVER: dict[str, Curve] = {
    "flat": lambda x: np.full(x.shape, 0.7),
    "rises, then flat": lambda x: 0.9 * rise(x),
    "rises all the way": lambda x: 0.1 + 0.08 * x,
    "falls by 5 %": lambda x: 0.8 - 0.04 * (x > 7),
}


class Design(NamedTuple):
    """One thing is changed at a time."""

    num_doses: int = 8
    num_seeds: int = 3
    num_questions: int = 300
    shift_octaves: float = 0.0
    dead_share: float = 0.0
    rho: float = 0.01
    is_joint: bool = False
    """Prior facts follow the truth, infused ones rise to stay; F* is of their mean."""

    def words(self) -> str:
        usual = Design()
        changed = [f"{name}={value:g}" for name, value in self._asdict().items() if value != getattr(usual, name)]
        return ", ".join(changed) or "8 doses, 3 seeds, 300 questions"


DESIGNS = (
    Design(),
    Design(num_doses=12),
    Design(num_seeds=2),
    Design(num_seeds=5),
    Design(num_questions=3_000),
    Design(shift_octaves=0.3),
    Design(dead_share=0.05),
)


def doses_of(design: Design) -> Array:
    return np.unique(np.round(2 ** np.linspace(2, 9, design.num_doses)))


def drawn(curves: list[Curve], design: Design, rng: np.random.Generator, fact_set: str = "") -> list[Observation]:
    """A sweep of as many sizes as curves: one unnamed set each, or prior and infused facts."""
    size = (1 - design.rho) / design.rho
    found = []
    for index, level in enumerate(curves):
        condition = Condition(num_params=1_000 * (index + 1), num_tokens=10**6)
        for seed in range(design.num_seeds):
            shift = design.shift_octaves * rng.standard_normal()
            for frequency in doses_of(design):
                is_dead = rng.random() < design.dead_share
                x = np.array([np.log2(frequency) - shift])
                sets = {"prior": level, "infused": infused} if design.is_joint else {fact_set: level}
                for name, of_set in sets.items():
                    g = 0.0 if is_dead else float(of_set(x)[0])
                    p = 0.25 + 0.75 * min(max(g, 1e-4), 1 - 1e-4)
                    correct = int(rng.binomial(design.num_questions, rng.beta(p * size, (1 - p) * size)))
                    o = observation_of_counts(condition, int(frequency), seed, name, correct, design.num_questions, 4)
                    found.append(o)
    return found


def infused(x: Array) -> Array:
    return np.asarray(0.95 * expit((x - 3) / 0.5))


def as_analysed(level: Curve, design: Design) -> Curve:
    """The truth of the curve that F* is read off."""
    return (lambda x: (level(x) + infused(x)) / 2) if design.is_joint else level


def analysed(observations: list[Observation]) -> list[Collapse]:
    curves = gather(observations)
    return collapses_of([c for c in curves if c.fact_set == "overall"], scatter_of(curves))


def true_log2(level: Curve, doses: Array) -> float:
    """F* of a curve without noise, by looking closely."""
    fine = np.linspace(doses[0], doses[-1], 20_001)
    return float(fine[np.flatnonzero(level(fine) >= 0.9 * level(doses).max())[-1]])


def interval_log2(collapse: Collapse) -> tuple[float, float]:
    """The ends of the interval; of an open one, far away. Nothing read: all is possible."""
    if collapse.reading is None:
        return -9.0, 99.0
    low, high = collapse.reading.ends_log2
    return (-9.0 if low is None else low), (99.0 if high is None else high)


def percent(share: float, num: int) -> str:
    return f"{share:.1%} ± {np.sqrt(share * (1 - share) / num):.1%}"
