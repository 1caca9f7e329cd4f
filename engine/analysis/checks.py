"""Two checks of a whole sweep: unseen facts answered at chance, and the effect of the number of templates."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    first = outcomes[0]
    outcomes = [o for o in outcomes if o.blocks == first.blocks]
    rng = np.random.default_rng(0)
    draws = np.zeros(_NUM_DRAWS, dtype=np.int64)
    observed, num_answers = 0, 0
    for block in range(len(first.blocks)):
        chosen_RQ = np.array([o.chosen[block] for o in outcomes])
        right_Q = np.array(first.right_of(block))
        questions_Q = np.arange(len(right_Q))
        votes_QK = np.zeros((len(right_Q), 1 + max(chosen_RQ.max(), right_Q.max())), dtype=np.int64)
        np.add.at(votes_QK, (questions_Q, chosen_RQ), 1)
        # The answers that would be right, were the right choices dealt to the questions in each of these orders.
        right_by_order = votes_QK[questions_Q, right_Q[_orders(len(right_Q))]].sum(axis=1)
        draws += rng.choice(right_by_order, size=_NUM_DRAWS)
        observed += int(votes_QK[questions_Q, right_Q].sum())
        num_answers += chosen_RQ.size
    p_value = float((1 + (draws >= observed).sum()) / (_NUM_DRAWS + 1))
    return UnseenCheck(observed / num_answers, p_value, len(outcomes))


@lru_cache(maxsize=64)
def _orders(num_questions: int) -> NDArray[np.int64]:
    """All orders of so few questions, or 2,000 drawn ones: [orders, questions]."""
    if num_questions <= 6:
        return np.array(list(itertools.permutations(range(num_questions))))
    return np.argsort(np.random.default_rng(1).random((2_000, num_questions)), axis=1)


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
