"""How much runs that differ only in their seed scatter: pooled over all cells of a sweep, by the method of moments.

For counts, var(accuracy) = p(1 − p)/n · (1 + (n − 1)·rho): one intraclass correlation rho a fact set. A ratio of sums
over cells is used, so that cells near 0 or 1, which carry no information, weigh nothing. Where only retentions are
known, one variance takes rho's place. One number more, the dispersion, says how far the scatter of the mean of prior
and infused exceeds what the two would have if they were independent.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from engine.analysis.curves import Curve, Observation

_SMALLEST_RHO = 1e-5


class Scatter(NamedTuple):
    """`rho` and `sd` by fact set; `dispersion` of `overall`; `df`: degrees of freedom behind them. With df = 0 no cell
    has two seeds, and nothing is known of the scatter."""

    rho: dict[str, float]
    sd: dict[str, float]
    dispersion: float
    df: int


def pooled_scatter(curves: Iterable[Curve]) -> Scatter:
    """The scatter between seeds over all these curves' doses."""
    curves = list(curves)
    rho, sd, dfs = {}, {}, [0]
    for fact_set in sorted({curve.fact_set for curve in curves}):
        cells = [c for curve in curves if curve.fact_set == fact_set for c in _replicated(curve)]
        df = sum(len(cell) - 1 for cell in cells)
        variance = _ratio(sum(_squares([o.retention for o in c]) for c in cells), df)
        sd[fact_set] = _round(math.sqrt(variance)) if variance > 0 else 0.0
        if fact_set != "overall":
            rho[fact_set] = _round(max(_SMALLEST_RHO, _rho(cells)))
        dfs.append(df)
    excess, expected = 0.0, 0.0
    for curve in (c for c in curves if c.fact_set == "overall" and len(c.parts) > 1):
        of_parts = [{(o.frequency, o.seed): o for o in part.observations} for part in curve.parts]
        for cell in _replicated(curve):
            excess += _squares([o.retention for o in cell])
            for part, observed in zip(curve.parts, of_parts, strict=True):
                same = [observed[o.frequency, o.seed] for o in cell]
                variance = _variance(same, rho[part.fact_set])
                expected += (len(cell) - 1) * variance / len(curve.parts) ** 2
    dispersion = _round(min(4.0, max(1.0, _ratio(excess, expected)))) if expected else 1.0
    return Scatter(rho, sd, dispersion, _round_down(max(dfs)))


def _replicated(curve: Curve) -> list[list[Observation]]:
    by_dose: dict[int, list[Observation]] = defaultdict(list)
    for observation in curve.observations:
        by_dose[observation.frequency].append(observation)
    return [cell for cell in by_dose.values() if len(cell) > 1]


def _rho(cells: Sequence[Sequence[Observation]]) -> float:
    """Solve Σ squares = Σ (m − 1)·p(1 − p)/n·(1 + (n − 1)·rho) for rho."""
    squares = binomial = slope = 0.0
    for cell in cells:
        counts = [(o.correct, o.num_questions) for o in cell if o.correct is not None and o.num_questions]
        if len(counts) < len(cell):
            return _SMALLEST_RHO
        accuracies = np.array([correct / asked for correct, asked in counts])
        n = float(np.mean([asked for _, asked in counts]))
        squares += _squares(accuracies)
        # The mean of p̂(1 − p̂) over seeds is already short of p(1 − p) by the scatter itself: what is used here is
        # the product at the mean, which is short by its share 1/m only.
        p = float(accuracies.mean())
        spread = max(0.0, p * (1 - p) + _squares(accuracies) / (len(cell) - 1) / len(cell))
        binomial += (len(cell) - 1) * spread / n
        slope += (len(cell) - 1) * spread * (n - 1) / n
    return _ratio(squares - binomial, slope)


def _variance(cell: Sequence[Observation], rho: float) -> float:
    """The modelled variance of one run's retention in this cell."""
    first = cell[0]
    if first.correct is None or not first.num_questions or not first.num_choices:
        return float(np.var([o.retention for o in cell], ddof=1)) if len(cell) > 1 else 0.0
    chance, n = 1 / first.num_choices, first.num_questions
    p = chance + (1 - chance) * float(np.mean([o.retention for o in cell]))
    p = min(max(p, 0.5 / n), 1 - 0.5 / n)
    return p * (1 - p) / n * (1 + (n - 1) * rho) / (1 - chance) ** 2


def _squares(values: Sequence[float] | np.ndarray) -> float:
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
