"""The sweep-level check: unseen facts at chance though runs err alike."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from engine.analysis.checks import unseen_check
from engine.records.results import QuestionOutcomes

BLOCKS = tuple(tuple(range(4 * b, 4 * b + 4)) for b in range(15))


def outcomes(leak: float, alike: float, rng: np.random.Generator, num_runs: int = 12) -> list[QuestionOutcomes]:
    """Runs that mostly give a common answer to each question; with probability `leak` that is the right one."""
    right = np.arange(4) * np.ones((15, 1), dtype=int)
    common = np.where(rng.random((15, 4)) < leak, right, rng.integers(0, 4, size=(15, 4)))
    made = []
    for _ in range(num_runs):
        own = rng.integers(0, 4, size=(15, 4))
        chosen = np.where(rng.random((15, 4)) < alike, common, own)
        made.append(outcome(chosen))
    return made


def outcome(chosen: np.ndarray) -> QuestionOutcomes:
    rows = tuple(tuple(int(c) for c in block) for block in chosen)
    return QuestionOutcomes(blocks=BLOCKS, chosen=rows)


def test_runs_that_err_alike_are_not_taken_for_a_leak() -> None:
    rng = np.random.default_rng(0)
    checks = [unseen_check(outcomes(0.0, 0.95, rng)) for _ in range(100)]
    alarms = sum(check is not None and check.p_value < 0.05 for check in checks)
    assert alarms <= binom.isf(1e-3, 100, 0.05)


def test_a_leak_is_found() -> None:
    rng = np.random.default_rng(0)
    check = unseen_check(outcomes(0.4, 0.9, rng))
    assert check is not None
    assert check.p_value < 0.01
    assert check.num_runs == 12
    assert check.accuracy > 0.4


def test_blocks_of_any_size_with_any_right_answers() -> None:
    """Questions that share all objects of a relation: some are right for several facts, and blocks differ in size."""
    blocks, right = (
        ((0, 1, 2, 3, 4), (5, 6), (7, 8, 9, 10, 11, 12, 13, 14)),
        ((0, 0, 1, 1, 2), (0, 1), (3,) * 4 + (1, 2, 0, 4)),
    )
    rng = np.random.default_rng(1)

    def asked(leak: float) -> QuestionOutcomes:
        chosen = tuple(tuple(r if rng.random() < leak else int(rng.integers(5)) for r in row) for row in right)
        return QuestionOutcomes(blocks=blocks, chosen=chosen, right=right)

    # One answer a block, whatever it is: as often right in every order of the right answers.
    blind = QuestionOutcomes(blocks=blocks, chosen=((0,) * 5, (1,) * 2, (3,) * 8), right=right)
    check = unseen_check([blind] * 3)
    assert check is not None
    assert (check.accuracy, check.p_value) == (7 / 15, 1.0)
    alarms = 0
    for _ in range(60):
        check = unseen_check([asked(0.0) for _ in range(4)])
        assert check is not None
        alarms += check.p_value < 0.05
    assert alarms <= binom.isf(1e-3, 60, 0.05)
    check = unseen_check([asked(0.5) for _ in range(8)])
    assert check is not None
    assert check.p_value < 0.01


def test_without_unseen_facts_there_is_nothing_to_check() -> None:
    assert unseen_check([]) is None
    assert unseen_check([QuestionOutcomes(blocks=(), chosen=())]) is None
