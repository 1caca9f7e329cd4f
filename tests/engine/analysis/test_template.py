"""The effect of templates: found where it is, no more alarms than promised where curves or seeds scatter."""

from __future__ import annotations

import numpy as np
from msgspec import structs
from scipy.stats import binom

from engine.analysis.collapse import Collapse, collapses_of
from engine.analysis.curves import Curve, Observation, gather, observation_of_counts
from engine.analysis.dead_runs import scatter_of
from engine.analysis.simulate import simulate
from engine.analysis.template import Comparison, template_effect
from tests.engine.analysis.conftest import truth

CONDITION = simulate(truth(), 0)[0].condition
SIZES = (1_000, 2_000, 4_000, 8_000, 16_000)


def observed(
    rng: np.random.Generator, gain: float = 0.0, of_curves: float = 0.0, sizes: tuple[int, ...] = SIZES, **fixed: object
) -> list[Observation]:
    """Accuracies around one half with 1, 2 and 4 templates; `gain` from 1 to 4, `of_curves` their common scatter."""
    found = []
    for size in sizes:
        for templates in (1, 2, 4):
            shift = of_curves * rng.standard_normal() + gain * (templates == 4)
            condition = structs.replace(CONDITION, num_params=size, templates=templates, **fixed)
            for f in (4, 16, 64):
                for seed in range(3):
                    correct = int(np.clip(round(200 * (0.5 + shift + 0.03 * rng.standard_normal())), 0, 200))
                    found.append(observation_of_counts(condition, f, seed, "", correct, 200, 4))
    return found


def compared(observations: list[Observation]) -> Comparison:
    """Without collapse points: those have a test of their own."""
    curves = gather(observations)
    return template_effect(curves, [_nothing(curve) for curve in curves])


def _nothing(curve: Curve) -> Collapse:
    (collapse,) = collapses_of([curve._replace(observations=())], scatter_of([]))
    return collapse


def test_an_effect_is_found_and_its_size_is_in_the_interval() -> None:
    effect = compared(observed(np.random.default_rng(0), gain=0.1)).effect
    assert effect is not None
    assert effect.p < 0.01
    assert effect.interval[0] <= 0.1 / 0.75 <= effect.interval[1]
    assert (effect.templates, effect.num_pairs, effect.unit) == ((1, 4), 5, "curve")
    assert compared([o for o in observed(np.random.default_rng(0)) if o.condition.templates == 1]).effect is None


def test_curves_that_err_as_a_whole_give_no_more_alarms_than_promised() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        effect = compared(observed(rng, of_curves=0.08)).effect
        assert effect is not None
        alarms += effect.p < 0.05
    assert binom.ppf(1e-3, 200, 0.05) <= alarms <= binom.isf(1e-3, 200, 0.05)


def test_of_one_size_seeds_are_exchanged_and_that_is_said() -> None:
    effect = compared(observed(np.random.default_rng(2), gain=0.1, sizes=(1_000,))).effect
    assert effect is not None
    assert (effect.num_pairs, effect.unit) == (1, "seed")
    assert effect.interval[0] <= 0.1 / 0.75 <= effect.interval[1]


def test_what_changes_with_the_templates_is_not_taken_for_their_effect() -> None:
    rng = np.random.default_rng(3)
    few = [o for o in observed(rng, fill="infused") if o.condition.templates == 1]
    many = [o for o in observed(rng, gain=0.3, fill="neutral") if o.condition.templates == 4]
    found = compared(few + many)
    assert found.effect is None
    assert "not identified" in found.warnings[0]


def test_the_collapse_point_moves_or_does_not() -> None:
    """ln F* of pairs of simulated curves, half as large with four templates."""
    observations = []
    for templates, factor in ((1, 1.0), (4, 0.5)):
        simulated = simulate(truth(collapse=lambda n, c=factor: 40 * c, sizes=SIZES), templates)
        observations += [o._replace(condition=structs.replace(o.condition, templates=templates)) for o in simulated]
    curves = [c for c in gather(observations) if c.fact_set == "overall"]
    effect = template_effect(curves, collapses_of(curves, scatter_of(gather(observations)))).effect
    assert effect is not None
    assert effect.collapse is not None
    low, high = effect.collapse.interval
    assert low <= np.log(0.5) <= high < 0
