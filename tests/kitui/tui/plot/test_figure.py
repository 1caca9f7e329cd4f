"""What a plot does to its curves: axes, gaps, views, the value cursor; and that any of it can be drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.style import Style

from kitui.tui.plot.draw import MIN_HEIGHT, MIN_WIDTH, draw, state_words
from kitui.tui.plot.figure import Content, Figure, Series

STYLES = {part: Style() for part in ("axis", "cursor", "", *"01234567")}

values = st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(math.nan))
series = st.lists(st.tuples(st.floats(0, 1e6), values), max_size=20).map(
    lambda points: Series("a", [x for x, _ in sorted(points, key=lambda p: p[0])], [y for _, y in points], 9)
)


@example([Series("a", [1e-260, 1.0], [None, None], 0)], True, False, 35, 5, ["out", "out", "out"])
@given(
    st.lists(series, max_size=3), st.booleans(), st.booleans(), st.integers(MIN_WIDTH, 90),
    st.integers(MIN_HEIGHT, 30), st.lists(st.sampled_from(["in", "out", "left", "up", "cursor", "smooth"]), max_size=8),
)  # fmt: skip
def test_whatever_is_shown_fills_its_lines(
    curves: list[Series], log_x: bool, log_y: bool, width: int, height: int, keys: list[str]
) -> None:
    figure = Figure(Content(tuple(curves), title="title"), log_x=log_x, log_y=log_y)
    for key in keys:
        match key:
            case "in" | "out":
                figure.zoom_by(1.5 if key == "in" else 0.6)
            case "left" | "up":
                figure.pan_by(-0.125 * (key == "left"), 0.125 * (key == "up"))
            case "cursor":
                figure.put_cursor(figure.view.x_low, by=1)
            case "smooth":
                figure.smooth = not figure.smooth
    lines = draw(figure, width, height, STYLES)
    assert [line.cell_length for line in lines] == [width] * height


def test_a_log_axis_leaves_out_zero_in_x_and_shows_a_gap_in_y() -> None:
    figure = Figure(Content(), log_x=True, log_y=True)
    curve = figure.curve(Series("a", [0, 1, 4], [3, 0, 8], 0, band=([1, 1, 2], [4, 4, 16])))
    assert curve.x.tolist() == [0, 2]
    assert np.isnan(curve.y[0])
    assert curve.y[1] == 3
    assert curve.band is not None
    assert [edge.tolist() for edge in curve.band] == [[0, 1], [2, 4]]


def test_zooming_keeps_the_place_of_the_cursor() -> None:
    figure = Figure(Content((Series("a", [0, 10, 20], [0, 1, 2], 0),)))
    figure.put_cursor(9)
    assert figure.cursor_x == 10
    before = (figure.cursor_x - figure.view.x_low) / (figure.view.x_high - figure.view.x_low)
    figure.zoom_by(3)
    after = (figure.cursor_x - figure.view.x_low) / (figure.view.x_high - figure.view.x_low)
    assert after == pytest.approx(before)
    assert "zoomed" in state_words(figure)


def test_the_cursor_goes_from_point_to_point_and_stops_at_the_ends() -> None:
    figure = Figure(Content((Series("a", [1, 2, 4], [5, None, 7], 0), Series("b", [3], [1], 1))))
    figure.put_cursor(1)
    seen = []
    for _ in range(5):
        seen.append((figure.cursor_x, figure.value_at_cursor(figure.content.series[0])))
        assert figure.cursor_x is not None
        figure.put_cursor(figure.cursor_x, by=1)
    assert [x for x, _ in seen] == [1, 2, 3, 4, 4]
    assert [words for _, words in seen][:2] == ["5.00", "gap"]


def test_smoothing_leaves_single_unfinished_points_alone() -> None:
    y = [float(i % 2) for i in range(20)]
    lines = Figure(Content(), smooth=True).curve(Series("a", range(20), y, 0)).y
    assert np.ptp(lines[5:15]) < 0.2
    hollow = Figure(Content(), smooth=True).curve(Series("a", range(20), y, 0, hollow=True)).y
    assert hollow.tolist() == y
