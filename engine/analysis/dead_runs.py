"""Dead runs: those that learned nothing where their neighbours learned, as a diverged or stuck run does.

A run is one of two kinds: alive, with the level of its cell, or, with a small chance that is pooled over the sweep,
dead, with chance level in every set. What its cell's level is, without it, the other seeds say and the doses beside it:
a curve that rises and falls is, at a dose, no lower than the lower of its neighbours. At the edge of a fall or a rise
that lower bound is low, and nothing counts as dead there: that some seeds rise later or fall sooner is scatter.

Dead runs are named wherever a curve is reported. In the fits they count by the chance that they are alive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from scipy.special import betaln, expit

from engine.analysis.curves import Curve, Observation, RunKey, run_key
from engine.analysis.scatter import Scatter, pooled_scatter
from engine.analysis.seed_shift import shift_octaves
from engine.records.conditions import Condition

_FIRST_SHARE, _LARGEST_SHARE = 0.02, 0.2
_FIRST_RHO, _LEAST_RHO = 0.01, 1e-3
_FIRST_SD = 0.05
_ROUNDS = 2
_MOST_CERTAIN = 30.0
_LEARNED_ERRORS = 3.0
_LEARNED_SHARE = 0.5
"""Of a curve's highest level: where its neighbours have less, nobody can say that a run should have learned."""


def scatter_of(curves: Iterable[Curve]) -> Scatter:
    """The scatter between the seeds that learned something, and how likely each other run is dead."""
    curves = list(curves)
    cells = _cells(curves)
    scatter, share = Scatter({}, {}, 1.0, 0), _FIRST_SHARE
    for _ in range(_ROUNDS):
        evidence = _evidence(cells, scatter)
        alive = {run: float(1 - expit(np.log(share / (1 - share)) + value)) for run, value in evidence.items()}
        num_dead = sum(1 - chance for chance in alive.values())
        share = min((num_dead + 1) / (len(alive) + 1 / _FIRST_SHARE), _LARGEST_SHARE)
        scatter = pooled_scatter(curves, {run: chance for run, chance in alive.items() if chance < 0.999})
    by_set: dict[str, list[Curve]] = defaultdict(list)
    for curve in curves:
        by_set[curve.fact_set].append(curve)
    return scatter._replace(shift_octaves={name: shift_octaves(of_set, scatter) for name, of_set in by_set.items()})


_Cells = dict[tuple[Condition, str], dict[float, list[Observation]]]


def _cells(curves: Iterable[Curve]) -> _Cells:
    """Each condition's fact sets that a run has of its own, dose by dose; F = 0 is no dose."""
    found: _Cells = {}
    for curve in curves:
        for part in curve.parts or ((curve,) if curve.fact_set == "overall" else ()):
            by_dose: dict[float, list[Observation]] = defaultdict(list)
            for o in part.observations:
                if o.frequency > 0:
                    by_dose[o.frequency].append(o)
            found[curve.condition, part.fact_set] = dict(sorted(by_dose.items()))
    return found


def _evidence(cells: _Cells, scatter: Scatter) -> dict[RunKey, float]:
    """Each run's log-likelihood ratio of dead against alive, over its fact sets."""
    found: dict[RunKey, float] = defaultdict(float)
    for (_, fact_set), by_dose in cells.items():
        rho = max(scatter.rho.get(fact_set, _FIRST_RHO), _LEAST_RHO)
        sd = scatter.sd.get(fact_set) or _FIRST_SD
        cells_J = list(by_dose.values())
        upper = [_upper_median([o.retention for o in cell]) for cell in cells_J]
        for j, cell in enumerate(cells_J):
            for observation in cell:
                # Of its own seed, where that was run: what seeds do alike along the curve is no death.
                beside = [_level(cells_J[i], observation.seed) for i in (j - 1, j + 1) if 0 <= i < len(cells_J)]
                others = [o.retention for o in cell if o is not observation]
                if not others and len(beside) < 2:
                    continue
                level = min([*beside, *([sorted(others)[(len(others) - 1) // 2]] if others else [])])
                is_plain = level >= _LEARNED_SHARE * max(upper)
                found[run_key(observation)] += _ratio(observation, level, rho, sd) if is_plain else 0.0
    return {run: float(np.clip(value, -_MOST_CERTAIN, _MOST_CERTAIN)) for run, value in found.items()}


def _ratio(o: Observation, level: float, rho: float, sd: float) -> float:
    """The log-likelihood of chance level less that of `level`. Who is clearly above chance is alive, however far below
    its neighbours."""
    if o.correct is None or not o.num_questions or not o.num_choices:
        if o.retention > _LEARNED_ERRORS * sd:
            return -_MOST_CERTAIN
        return float(((o.retention - level) ** 2 - o.retention**2) / (2 * sd**2))
    chance, size = 1 / o.num_choices, (1 - rho) / rho
    error = np.sqrt(chance / (1 - chance) / o.num_questions * (1 + (o.num_questions - 1) * rho))
    if o.retention > _LEARNED_ERRORS * error:
        return -_MOST_CERTAIN
    right, wrong = o.correct, o.num_questions - o.correct
    p = np.array([chance, min(chance + (1 - chance) * level, 1 - 0.5 / o.num_questions)])
    dead, alive = betaln(right + p * size, wrong + (1 - p) * size) - betaln(p * size, (1 - p) * size)
    return float(dead - alive)


def _level(cell: list[Observation], seed: int) -> float:
    own = [o.retention for o in cell if o.seed == seed]
    return min([_upper_median([o.retention for o in cell]), *own])


def _upper_median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
