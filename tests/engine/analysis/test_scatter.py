"""The pooled scatter between seeds, against what was simulated."""

from __future__ import annotations

import numpy as np
import pytest

from engine.analysis.curves import gather
from engine.analysis.scatter import pooled_scatter
from engine.analysis.simulate import simulate
from tests.engine.analysis.conftest import truth


@pytest.mark.parametrize("rho", [0.0, 0.01, 0.05])
def test_the_intraclass_correlation_is_recovered(rho: float) -> None:
    curves = gather(simulate(truth(rho=rho, num_seeds=200, num_questions=300), 0))
    found = pooled_scatter(curves).rho["infused"]
    assert found == pytest.approx(rho, abs=0.002 + 0.25 * rho)


def test_independent_parts_have_no_excess_dispersion() -> None:
    curves = gather(simulate(truth(num_seeds=100), 0))
    assert pooled_scatter(curves).dispersion == pytest.approx(1.0, abs=0.3)


def test_parts_that_move_together_do() -> None:
    observations = simulate(truth(num_seeds=60, num_questions=1_000, rho=1e-4), 0)
    common = np.random.default_rng(0).normal(0, 0.06, size=60)

    def shifted(correct: int | None, seed: int) -> int:
        return int(np.clip((correct or 0) + 1_000 * common[seed], 0, 1_000))

    moved = [
        o._replace(correct=c, retention=(c / 1_000 - 0.25) / 0.75)
        for o in observations
        if (c := shifted(o.correct, o.seed)) >= 0
    ]
    assert pooled_scatter(gather(moved)).dispersion > 1.3


def test_one_seed_tells_nothing() -> None:
    assert pooled_scatter(gather(simulate(truth(num_seeds=1), 0))).df == 0
