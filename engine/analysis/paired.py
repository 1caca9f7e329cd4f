"""Differences between two groups of retention curves, in pairs of curves that agree in everything else.

The cells of a curve err together, and so do its seeds: what can be exchanged is a pair's two curves, not their cells.
From three pairs on the test is that of the pairs' differences (a paired t test), and their number is what counts. Of
fewer pairs nobody can tell how much curves scatter: seeds are exchanged then, whole curves of them, and that is said.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.stats import t as student_t

from engine.analysis.curves import Curve
from engine.analysis.likelihood import Array
from engine.records.analysis import CollapsePoint
from engine.records.conditions import Condition
from engine.records.effects import CollapseEffect
from engine.records.intervals import Interval

MIN_PAIRS = 3
_NUM_DRAWS = 9_999


class Member(NamedTuple):
    """A curve, and what was found on the overall curve of its condition."""

    curve: Curve
    point: CollapsePoint | None


Pair = tuple[Member, Member]


class Effect(NamedTuple):
    """Mean retention of the second curves less that of the first, over the doses that both have; its 95 % interval and
    p, and of which kind the test is. `collapse`: the difference of ln F*, where three pairs or more have both."""

    difference: float
    interval: Interval
    p: float
    unit: Literal["curve", "seed"]
    collapse: CollapseEffect | None


def pairs_of(
    members: Iterable[Member],
    group: Callable[[Condition], Any],
    rest: Callable[[Condition], Condition],
    both: Pair | Any,
) -> list[Pair]:
    """Curves of the two groups `both` that agree in the rest of their conditions, and have doses in common."""
    found: dict[Condition, dict[Any, Member]] = defaultdict(dict)
    for member in members:
        if group(member.curve.condition) in both and any(o.frequency > 0 for o in member.curve.observations):
            found[rest(member.curve.condition)][group(member.curve.condition)] = member
    pairs = [(by[both[0]], by[both[1]]) for by in found.values() if len(by) == 2]
    return [pair for pair in pairs if common_doses(pair)]


def common_doses(pair: Pair) -> list[float]:
    """The positive doses that both curves have."""
    doses = [{o.frequency for o in member.curve.observations if o.frequency > 0} for member in pair]
    return sorted(doses[0] & doses[1])


def paired_effect(pairs: Sequence[Pair]) -> Effect:
    """The effect over all pairs; at least one."""
    differences = np.array([_difference(pair) for pair in pairs])
    is_enough = len(pairs) >= MIN_PAIRS
    if is_enough:
        return Effect(*_paired(differences), "curve", _collapse_effect(pairs))
    return Effect(*_by_seeds(pairs), "seed", None)


def _difference(pair: Pair) -> float:
    common = common_doses(pair)
    means = [np.mean([np.mean([o.retention for o in member.curve.at(f)]) for f in common]) for member in pair]
    return float(means[1] - means[0])


def _paired(differences: Array) -> tuple[float, tuple[float, float], float]:
    """Mean, 95 % interval and p of a paired t test."""
    num = len(differences)
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(num)
    half = float(student_t.ppf(0.975, num - 1)) * error
    p = float(2 * student_t.sf(abs(mean) / error, num - 1)) if error > 0 else (1.0 if mean == 0 else 0.0)
    return mean, (mean - half, mean + half), p


def _by_seeds(pairs: Sequence[Pair]) -> tuple[float, Interval, float]:
    """The same from the seeds' whole curves (their means over the doses that all have): p by exchanging seeds within
    pairs, the interval by how much the seeds of one curve scatter."""
    rng = np.random.default_rng(0)
    observed, draws = 0.0, np.zeros(_NUM_DRAWS)
    squares, df, shares = 0.0, 0, 0.0
    for pair in pairs:
        common = common_doses(pair)
        first, second = (np.array(_seed_means(member.curve, common)) for member in pair)
        observed += float(second.mean() - first.mean()) / len(pairs)
        pooled = np.concatenate([first, second])
        shuffled = pooled[np.argsort(rng.random((_NUM_DRAWS, len(pooled))), axis=1)]
        draws += (shuffled[:, len(first) :].mean(axis=1) - shuffled[:, : len(first)].mean(axis=1)) / len(pairs)
        squares += float(((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum())
        df += len(pooled) - 2
        shares += (1 / len(first) + 1 / len(second)) / len(pairs) ** 2
    p = float((1 + (np.abs(draws) >= abs(observed) - 1e-12).sum()) / (_NUM_DRAWS + 1))
    if df == 0:
        return observed, (None, None), p
    half = float(student_t.ppf(0.975, df)) * math.sqrt(squares / df * shares)
    return observed, (observed - half, observed + half), p


def _seed_means(curve: Curve, doses: Sequence[float]) -> list[float]:
    """Each seed's mean over the doses; of seeds that lack some of them, as far above or below the others there."""
    level = {f: float(np.mean([o.retention for o in curve.at(f)])) for f in doses}
    by_seed: dict[int, list[float]] = defaultdict(list)
    for o in curve.observations:
        if o.frequency in level:
            by_seed[o.seed].append(o.retention - level[o.frequency])
    middle = float(np.mean(list(level.values())))
    return [middle + float(np.mean(distances)) for distances in by_seed.values()]


def _collapse_effect(pairs: Sequence[Pair]) -> CollapseEffect | None:
    """The difference of ln F*, over the pairs in which both are observed; None with fewer than three."""
    points = [tuple(m.point.collapse_frequency if m.point else None for m in pair) for pair in pairs]
    differences = np.array([math.log(second / first) for first, second in points if first and second])
    if len(differences) < MIN_PAIRS:
        return None
    difference, interval, p = _paired(differences)
    return CollapseEffect(difference_ln=difference, interval=interval, p=p, num_pairs=len(differences))
