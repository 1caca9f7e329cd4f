"""The shift of falls from seed to seed is found where it is, and makes room in intervals."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from engine.analysis.curves import gather
from engine.analysis.dead_runs import scatter_of
from engine.analysis.simulate import simulate
from tests.engine.analysis.conftest import collapses, truth

SIZES = tuple(range(1_000, 21_000, 1_000))


@pytest.mark.parametrize("octaves", [0.0, 0.3])
def test_it_is_what_was_simulated(octaves: float) -> None:
    simulated = simulate(truth(sizes=SIZES, collapse=lambda _: 20.0, seed_shift_octaves=octaves), 0)
    found = scatter_of(gather(simulated)).shift_octaves["prior"]
    assert found == pytest.approx(octaves, abs=0.12)


def test_intervals_have_room_for_it() -> None:
    widths = []
    for octaves in (0.0, 0.5):
        found = collapses(simulate(truth(sizes=SIZES[:6], collapse=lambda _: 20.0, seed_shift_octaves=octaves), 1))
        readings = [c.reading for c in found if c.reading is not None]
        ends = [r.ends_log2 for r in readings]
        widths.append(np.median([high - low for low, high in ends if low is not None and high is not None]))
        assert all((low is None or low <= 5) and (high is None or high >= 3.6) for low, high in ends)
    assert widths[1] > 1.1 * widths[0]


def test_curves_that_are_noise_or_hardly_fall_say_nothing_of_it() -> None:
    """As infused facts in the neutral arm, which nobody wrote."""
    plain = [o for o in simulate(truth(sizes=SIZES[:4], collapse=lambda _: 20.0), 2) if o.fact_set == "prior"]
    rng = np.random.default_rng(0)
    noise = [
        o._replace(
            condition=msgspec.structs.replace(o.condition, num_params=o.condition.num_params * 100),
            retention=0.02 * float(rng.standard_normal()),
            correct=80 + int(rng.integers(-8, 9)),
        )
        for o in plain
    ]
    assert scatter_of(gather([*plain, *noise])).shift_octaves["prior"] < 0.12
