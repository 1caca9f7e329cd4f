"""Every family of curves: its derivatives, and what its parameters mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.shapes import SHAPES, Shape
from engine.analysis.shapes.base import Array

DOSES = np.linspace(1.0, 9.0, 9)
unit = st.floats(0.02, 0.98)


@st.composite
def parameters(draw: st.DrawFn) -> Array:
    place, width = st.floats(0, 10), st.floats(np.log(0.05), np.log(1.4))
    return np.array([draw(s) for s in (unit, unit, unit, place, width, place, width)])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
@given(theta=parameters())
def test_derivatives_are_those_of_the_levels(shape: Shape, theta: Array) -> None:
    levels, gradient = shape.levels_and_gradient(theta, DOSES)
    assert levels == pytest.approx(shape.levels(theta, DOSES), abs=1e-12)
    for index in range(len(theta)):
        step = np.zeros(len(theta))
        step[index] = 1e-6
        numeric = (shape.levels(theta + step, DOSES) - shape.levels(theta - step, DOSES)) / 2e-6
        assert gradient[index] == pytest.approx(numeric, abs=2e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_the_plateau_stands_between_rise_and_fall(shape: Shape) -> None:
    theta = np.array([0.8, 0.1, 0.2, 2.0, np.log(0.1), 7.0, np.log(0.1)])
    before, on, after = shape.levels(theta, np.array([-3.0, 4.5, 12.0]))
    assert on == pytest.approx(0.8, abs=1e-6)
    assert before < 0.2
    assert after < 0.2
