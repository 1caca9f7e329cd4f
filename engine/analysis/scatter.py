"""How much runs that differ only in their seed scatter: pooled over all cells of a sweep, by the method of moments.

For counts, var(accuracy) = p(1 − p)/n · (1 + (n − 1)·rho): one intraclass correlation rho a fact set, the unnamed one
of an imported table included. A ratio of sums over cells is used, so that cells near 0 or 1, which carry no
information, weigh nothing. Where only a measure's values are known, one variance takes rho's place. One number more,
the dispersion, says how far the scatter of the mean of prior and infused exceeds what the two would have if they were
independent.

Dead runs, which learned nothing, are not scatter: they are found first (dead_runs.py), and count as much as they live.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engine.analysis.curves import Curve, Observation, RunKey, run_key

_SMALLEST_RHO = 1e-5
_ALIVE = 0.5
"""A run that is more likely dead than alive is left out of the scatter."""


class Scatter(NamedTuple):
    """`rho` and `sd` by fact set; `dispersion` of `overall`; `df`: degrees of freedom behind them. With df = 0 no cell
    has two seeds, and nothing is known of the scatter. `alive`: the chance that a run is not dead, if not 1.
    `shift_octaves` by fact set: how far seeds shift the fall (seed_shift.py)."""

    rho: dict[str, float]
    sd: dict[str, float]
    dispersion: float
    df: int
    alive: Mapping[RunKey, float] = {}
    shift_octaves: Mapping[str, float] = {}

    def weight(self, observation: Observation) -> float:
        """How far an observation counts."""
        return self.alive.get(run_key(observation), 1.0)

    def is_dead(self, observation: Observation) -> bool:
        return self.weight(observation) < _ALIVE


def pooled_scatter(curves: Iterable[Curve], alive: Mapping[RunKey, float] | None = None) -> Scatter:
    """The scatter between seeds over all these curves' doses, dead runs left out."""
    curves, living = list(curves), Scatter({}, {}, 1.0, 0, alive or {})
    rho, sd, dfs = {}, {}, [0]
    for fact_set in sorted({curve.fact_set for curve in curves}):
        cells = [c for curve in curves if curve.fact_set == fact_set for c in _replicated(curve, living)]
        df = sum(len(cell) - 1 for cell in cells)
        variance = _ratio(sum(_squares([o.retention for o in c]) for c in cells), df)
        sd[fact_set] = _round(math.sqrt(variance)) if variance > 0 else 0.0
        counted = [cell for cell in cells if all(_is_counted(o) for o in cell)]
        if counted:
            rho[fact_set] = _round(max(_SMALLEST_RHO, _rho(counted)))
        dfs.append(df)
    excess, expected = 0.0, 0.0
    for curve in (c for c in curves if c.fact_set == "overall" and len(c.parts) > 1):
        of_parts = [{(o.frequency, o.seed): o for o in part.observations} for part in curve.parts]
        for cell in _replicated(curve, living):
            excess += _squares([o.retention for o in cell])
            for part, observed in zip(curve.parts, of_parts, strict=True):
                same = [observed[o.frequency, o.seed] for o in cell]
                variance = _variance(same, rho.get(part.fact_set, _SMALLEST_RHO))
                expected += (len(cell) - 1) * variance / len(curve.parts) ** 2
    dispersion = _round(min(4.0, max(1.0, _ratio(excess, expected)))) if expected else 1.0
    return living._replace(rho=rho, sd=sd, dispersion=dispersion, df=_round_down(max(dfs)))


def _is_counted(observation: Observation) -> bool:
    return observation.correct is not None and bool(observation.num_questions) and bool(observation.num_choices)


def _replicated(curve: Curve, living: Scatter) -> list[list[Observation]]:
    by_dose: dict[float, list[Observation]] = defaultdict(list)
    for observation in curve.observations:
        if not living.is_dead(observation):
            by_dose[observation.frequency].append(observation)
    return [cell for cell in by_dose.values() if len(cell) > 1]


def _rho(cells: Sequence[Sequence[Observation]]) -> float:
    """Solve Σ squares of retentions = Σ over cells of (m − 1) · (mean binomial variance + rho · mean slope) for rho."""
    squares = binomial = slope = 0.0
    for cell in cells:
        found = _squares([o.retention for o in cell])
        squares += found
        fixed, by_rho = np.mean([_terms(o, _mean(cell), found / (len(cell) - 1) / len(cell)) for o in cell], axis=0)
        binomial += (len(cell) - 1) * float(fixed)
        slope += (len(cell) - 1) * float(by_rho)
    return _ratio(squares - binomial, slope)


def _terms(observation: Observation, retention: float, error: float) -> tuple[float, float]:
    """One run's variance of retention around this mean is the first plus rho times the second. `error`: the variance of
    the mean, by which p(1 − p) there is short."""
    assert observation.num_choices
    assert observation.num_questions
    chance, n = 1 / observation.num_choices, observation.num_questions
    p = chance + (1 - chance) * retention
    spread = max(0.0, p * (1 - p) / (1 - chance) ** 2 + error)
    return spread / n, spread * (n - 1) / n


def _variance(cell: Sequence[Observation], rho: float) -> float:
    """The modelled variance of one run's retention in this cell."""
    if not all(_is_counted(o) for o in cell):
        return float(np.var([o.retention for o in cell], ddof=1)) if len(cell) > 1 else 0.0
    variances = []
    for o in cell:
        assert o.num_questions
        assert o.num_choices
        chance, n = 1 / o.num_choices, o.num_questions
        p = min(max(chance + (1 - chance) * _mean(cell), 0.5 / n), 1 - 0.5 / n)
        variances.append(p * (1 - p) / n * (1 + (n - 1) * rho) / (1 - chance) ** 2)
    return float(np.mean(variances))


def variance_of_run(curve: Curve, scatter: Scatter, level: float) -> float:
    """The modelled variance of a run's retention where a curve stands at `level`."""
    first = curve.observations[0]
    if not _is_counted(first):
        return scatter.sd.get(curve.fact_set, 0.0) ** 2
    at_level = first._replace(retention=level)
    return _variance([at_level], scatter.rho.get(curve.fact_set, _SMALLEST_RHO))


def _mean(cell: Sequence[Observation]) -> float:
    return sum(o.retention for o in cell) / len(cell)


def _squares(values: Sequence[float]) -> float:
    return float(((np.asarray(values) - np.mean(values)) ** 2).sum())


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else 0.0


def _round(value: float) -> float:
    """To the nearest tenth of a decade (a quarter more or less): one more run then seldom changes the fits of all other
    curves, and no interval depends on it more closely than that."""
    return float(f"{10 ** (round(10 * math.log10(value)) / 10):.3g}")


def _round_down(df: int) -> int:
    """Exact up to ten degrees of freedom, then in tenths of a decade: for the same reason."""
    return df if df <= 10 else int(10 ** (math.floor(10 * math.log10(df)) / 10))
