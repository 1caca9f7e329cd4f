"""Synthetic sweeps with a known truth. What comes from here is labelled simulated wherever it is shown.

The truth is a law F*(N): the frequency at which the mean curve's overall retention last is 90 % of its maximum over the
tested doses. Prior retention falls there and infused retention rises below it; seeds scatter up and down
(beta-binomial) and, if asked, sideways (a normal shift of log2 F*).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engine.analysis.curves import Observation, observation_of_counts
from engine.analysis.profiles import Crossing
from engine.analysis.shapes.logistic import LOGISTIC
from engine.records.analysis import COLLAPSE_SHARE
from engine.records.conditions import Condition


class Truth(NamedTuple):
    """Parameters of a simulated sweep. `collapse` None simulates sizes that never collapse."""

    collapse: Callable[[float], float] | None
    sizes: Sequence[int]
    frequencies: Sequence[int]
    num_seeds: int = 3
    num_questions: int = 320
    num_choices: int = 4
    rho: float = 0.01
    seed_shift_octaves: float = 0.0
    prior_level: float = 0.95
    infused_level: float = 0.95
    acquisition: float = 4.0
    fall_octaves: float = 0.15
    num_tokens: int = 300_000
    ceiling: float | None = None


def simulate(truth: Truth, seed: int) -> list[Observation]:
    """One draw of all runs of the sweep, prior and infused sets, F = 0 included where it is among the doses."""
    rng = np.random.default_rng(seed)
    doses = np.log2([f for f in truth.frequencies if f > 0])
    observations = []
    for size in truth.sizes:
        theta = _true_shapes(truth, doses, None if truth.collapse is None else float(truth.collapse(size)))
        condition = Condition(
            num_params=size,
            num_tokens=truth.num_tokens,
            templates=1,
            fill="infused",
            mixture="displace",
            ceiling_frequency=truth.ceiling,
        )
        for run_seed in range(truth.num_seeds):
            shifted = theta.copy()
            shifted[:, 5] += truth.seed_shift_octaves * rng.standard_normal()
            for frequency in truth.frequencies:
                x = np.log2([float(frequency)]) if frequency else np.array([-30.0])
                for row, fact_set in zip(shifted, ("prior", "infused"), strict=True):
                    level = float(LOGISTIC.levels(row, x)[0]) if frequency or fact_set == "prior" else 0.0
                    correct = _draw(rng, level, truth)
                    observations.append(
                        observation_of_counts(
                            condition, frequency, run_seed, fact_set, correct, truth.num_questions, truth.num_choices
                        )
                    )
    return observations


def power_law(coefficient: float, exponent: float, reference: float) -> Callable[[float], float]:
    """F*(N) = coefficient · (N / reference) ^ exponent."""
    return lambda num_params: coefficient * (num_params / reference) ** exponent


def _true_shapes(truth: Truth, doses: np.ndarray, collapse: float | None) -> np.ndarray:
    """Shapes [2, 7] of prior and infused whose mean has its collapse point at `collapse`."""
    rise, width = np.log2(truth.acquisition), np.log(truth.fall_octaves)
    never = float(doses[-1]) + 20
    prior = [truth.prior_level, 1.0, 0.02, -20.0, np.log(0.5), never, width]
    infused = [truth.infused_level, 0.02, 1.0, rise, np.log(0.5), never, width]
    theta = np.array([prior, infused])
    if collapse is None:
        return theta
    low, high = float(doses[0]) - 3, float(doses[-1]) + 3
    for _ in range(60):
        middle = (low + high) / 2
        theta[:, 5] = middle
        reached = float(Crossing(np.full(1, COLLAPSE_SHARE)).at(LOGISTIC, theta[None], doses[None])[0])
        low, high = (middle, high) if reached < np.log2(collapse) else (low, middle)  # NaN, not reached, is above
    return theta


def _draw(rng: np.random.Generator, level: float, truth: Truth) -> int:
    chance = 1 / truth.num_choices
    p = float(np.clip(chance + (1 - chance) * level, 1e-6, 1 - 1e-6))
    if truth.rho > 0:
        size = (1 - truth.rho) / truth.rho
        p = float(rng.beta(p * size, (1 - p) * size))
    return int(rng.binomial(truth.num_questions, p))
