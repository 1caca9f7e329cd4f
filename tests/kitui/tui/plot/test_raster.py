"""Curves in braille."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kitui.tui.plot.raster import Canvas, View, linear_ticks, log2_ticks, smoothed

UNIT = View(0.0, 1.0, 0.0, 1.0)


def dots(canvas: Canvas) -> int:
    return sum(bin(ord(c) - 0x2800).count("1") for line in canvas.text() for c in line if c != " ")


def test_a_diagonal_fills_one_dot_a_column_or_two() -> None:
    canvas = Canvas(10, 5, UNIT)
    canvas.line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 3)
    text = canvas.text()
    assert text[0].strip()
    assert text[-1].strip()
    assert 20 <= dots(canvas) <= 60
    assert set(canvas.owner_HW[canvas.owner_HW >= 0].tolist()) == {3}


def test_a_gap_is_not_bridged() -> None:
    whole, broken = Canvas(20, 5, UNIT), Canvas(20, 5, UNIT)
    x = np.linspace(0, 1, 5)
    whole.line(x, np.full(5, 0.5), 0)
    broken.line(x, np.array([0.5, 0.5, np.nan, 0.5, 0.5]), 0)
    middle = [line[10] for line in broken.text()]
    assert middle == [" "] * 5
    assert dots(broken) < dots(whole)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=3000))
def test_the_extremes_of_every_column_are_drawn(values: list[float]) -> None:
    canvas = Canvas(8, 6, UNIT)
    x = np.linspace(0, 1, len(values))
    canvas.line(x, np.array(values), 0)
    drawn = {(r, c) for r, line in enumerate(canvas.text()) for c, char in enumerate(line) if char != " "}
    assert drawn.issuperset(canvas.cells(x, np.array(values)))


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_nothing_outside_the_view_is_drawn_or_breaks(x: float, y: float) -> None:
    canvas = Canvas(6, 4, UNIT)
    canvas.line(np.array([x, x + 1]), np.array([y, -y]), 0)
    canvas.upright(np.array([x]), np.array([y - 1]), np.array([y]), 0)
    canvas.band(np.array([x, x + 1]), np.array([y, y]), np.array([y + 1, y + 1]), 0)
    found = canvas.cell(x, y)
    assert (found is None) or (0 <= found[0] < 4 and 0 <= found[1] < 6)
    assert all(len(line) == 6 for line in canvas.text())


def test_smoothing_leaves_a_constant_alone_and_keeps_gaps() -> None:
    y = np.array([1.0, 1.0, np.nan, 1.0, 1.0])
    assert np.array_equal(smoothed(y, 3), y, equal_nan=True)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 12))
def test_ticks_lie_within_and_are_few(low: float, span: float, most: int) -> None:
    for ticks in (linear_ticks(low, low + span, most), log2_ticks(low % 20, low % 20 + span % 30 + 0.3, most)):
        assert len(ticks) <= most + 2
        assert ticks == sorted(ticks)
    assert all(low - 1e-6 * span <= t <= low + span * (1 + 1e-6) for t in linear_ticks(low, low + span, most))
