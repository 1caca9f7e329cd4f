"""Two checks of a whole sweep: unseen facts answered at chance, and the effect of the number of templates."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from engine.analysis.curves import Curve
from engine.records.analysis import TemplateEffect
from engine.records.results import QuestionOutcomes
from engine.spec.axes import AXES, TEMPLATES, AxisValue

UNSEEN_SIGNIFICANCE = 0.01
_NUM_DRAWS = 9_999


class UnseenCheck(NamedTuple):
    """Accuracy on facts never written, over all runs, and the chance of one as high if nothing leaks."""

    accuracy: float
    p_value: float
    num_runs: int


def unseen_check(outcomes: Sequence[QuestionOutcomes]) -> UnseenCheck | None:
    """Permute the right answers within each block, the same way for every run: runs of one sweep are asked the same
    questions and err alike, so that answers counted one by one would make chance look like a leak."""
    if not outcomes or not outcomes[0].blocks:
        return None
    blocks = outcomes[0].blocks
    outcomes = [o for o in outcomes if o.blocks == blocks]
    k = len(blocks[0])
    chosen_RBK = np.array([o.chosen for o in outcomes])
    # votes[b, j, o]: runs that gave option o to question j of block b.
    votes = (chosen_RBK[..., None] == np.arange(k)).sum(axis=0)
    if k <= 6:
        orders = np.array(list(itertools.permutations(range(k))))
    else:
        orders = np.argsort(np.random.default_rng(1).random((2_000, k)), axis=1)
    right = votes[:, np.arange(k)[None, :], orders].sum(axis=-1)  # [B, permutations]
    rng = np.random.default_rng(0)
    draws = np.zeros(_NUM_DRAWS, dtype=np.int64)
    for row in right:
        draws += row[rng.integers(len(orders), size=_NUM_DRAWS)]
    observed = int(votes[:, np.arange(k), np.arange(k)].sum())
    p_value = float((1 + (draws >= observed).sum()) / (_NUM_DRAWS + 1))
    return UnseenCheck(observed / chosen_RBK.size, p_value, len(outcomes))


def template_effect(curves: Iterable[Curve]) -> TemplateEffect | None:
    """Mean retention with the most templates less that with the fewest, its 95 % interval, and p, by a permutation test
    across template counts within cells that agree in N, D, F and all other axes; None with one count."""
    strata: dict[tuple[AxisValue | None, ...], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    fixed = [axis for axis in AXES if axis.in_condition and axis is not TEMPLATES]
    for curve in curves:
        for o in curve.observations:
            if o.frequency > 0 and curve.condition.templates is not None:
                key = (*(axis.of(curve.condition) for axis in fixed), o.frequency)
                strata[key][curve.condition.templates].append(o.retention)
    counts = sorted({count for by_count in strata.values() for count in by_count})
    if len(counts) < 2:
        return None
    pairs = [(s[counts[0]], s[counts[-1]]) for s in strata.values() if s.get(counts[0]) and s.get(counts[-1])]
    if not pairs:
        return None
    observed = float(np.mean([np.mean(most) - np.mean(fewest) for fewest, most in pairs]))
    rng = np.random.default_rng(0)
    draws = np.zeros(_NUM_DRAWS)
    for fewest, most in pairs:
        pooled = np.array([*fewest, *most])
        shuffled = pooled[np.argsort(rng.random((_NUM_DRAWS, len(pooled))), axis=1)]
        draws += shuffled[:, len(fewest) :].mean(axis=1) - shuffled[:, : len(fewest)].mean(axis=1)
    draws /= len(pairs)
    p = float((1 + (np.abs(draws) >= abs(observed) - 1e-12).sum()) / (_NUM_DRAWS + 1))
    half = 1.96 * float(draws.std())
    return TemplateEffect(difference=observed, interval=(observed - half, observed + half), p=p)
