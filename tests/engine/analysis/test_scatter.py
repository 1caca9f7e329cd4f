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


def test_a_set_without_a_name_has_its_scatter_too() -> None:
    """A table of counts says the same with a name for its set and without."""
    named = [
        o._replace(fact_set="infused") for o in simulate(truth(rho=0.05, num_seeds=50), 0) if o.fact_set == "infused"
    ]
    unnamed = [o._replace(fact_set="") for o in named]
    assert pooled_scatter(gather(unnamed)).rho["overall"] == pooled_scatter(gather(named)).rho["infused"] > 0.02


def test_choices_are_each_rows_own() -> None:
    """Two seeds asked with 2 choices and two with 8: their retentions scatter as the model says, and no more."""
    two, eight = (simulate(truth(rho=1e-4, num_seeds=60, num_choices=k), k) for k in (2, 8))
    mixed = two + [o._replace(seed=o.seed + 100) for o in eight]
    assert pooled_scatter(gather(mixed)).rho["infused"] < 0.002
