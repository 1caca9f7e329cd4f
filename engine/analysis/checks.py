"""A check of a whole sweep: are unseen facts answered at chance?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.records.results import QuestionOutcomes

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
