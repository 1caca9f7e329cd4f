"""The axes of a figure: ticks and their labels, and the bars of marks with their intervals above the axis."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.segment import Segment
from rich.style import Style

from engine.spec.numbers import format_count
from kitui.tui.plot.figure import Figure, Mark, to_axis
from kitui.tui.plot.raster import Canvas, View, decade_ticks, linear_ticks, log2_ticks, minor_ticks

LEFT = 7
"""Columns for tick labels and the axis."""
_LABEL = 7
"""Columns of a tick's label with what parts it from the next."""
_LANES = "F* 95%"
_WIDE_OCTAVES, _FAR_OCTAVES = 4.0, 300.0


def y_labels(figure: Figure, canvas: Canvas) -> dict[int, str]:
    """The labels of the y axis by row."""
    view = canvas.view
    labels = {}
    most = max(2, canvas.height // 3)
    ticks = (_labelled if figure.log_y else linear_ticks)(view.y_low, view.y_high, most)
    for tick in ticks:
        cell = canvas.cell(view.x_low, tick)
        if cell is not None:
            labels[cell[0]] = tick_label(tick, figure.log_y)
    return labels


def x_axis(figure: Figure, view: View, width: int, gutter: int, styles: Mapping[str, Style]) -> list[list[Segment]]:
    """The axis, broken where something lies left of it at zero, and its labels."""
    style = styles["axis"]
    most = max(2, width // _LABEL)
    ticks, minor = _x_ticks(figure, view, most)
    line, labels = ["─"] * width, [" "] * (width + LEFT + gutter + 1)

    def column_of(tick: float) -> int:
        return round((tick - view.x_low) / (view.x_high - view.x_low) * (width - 1))

    for tick in minor:
        if 0 <= column_of(tick) < width:
            line[column_of(tick)] = "╷"
    free_from = 0
    for tick in ticks:
        column = column_of(tick)
        if not 0 <= column < width:
            continue
        line[column] = "┬"
        text = tick_label(tick, figure.log_x)
        start = max(0, min(LEFT + gutter + column - len(text) // 2, len(labels) - len(text)))
        if start >= free_from:
            labels[start : start + len(text)] = text
            free_from = start + len(text) + 1
    before = ""
    if gutter:
        before = "─┬─╱╱"[:gutter].ljust(gutter, "─")
        labels[LEFT + 1 : LEFT + 2] = "0"
    corner = " " * (LEFT - 1) + "└"
    return [[Segment(corner + before + "".join(line), style)], [Segment("".join(labels), style)]]


def _x_ticks(figure: Figure, view: View, most: int) -> tuple[list[float], list[float]]:
    """Ticks with labels, and those without."""
    if not figure.log_x:
        return linear_ticks(view.x_low, view.x_high, max(2, most - 1)), []
    return _labelled(view.x_low, view.x_high, most), minor_ticks(view.x_low, view.x_high)


def _labelled(low: float, high: float, most: int) -> list[float]:
    """Of a log axis: 1, 2 and 5 times powers of ten, only the powers where there is no room for all; of a stretch with
    fewer than three of those, evenly spaced numbers."""
    by_ten, by_half = decade_ticks(low, high, (1,)), decade_ticks(low, high, (1, 2, 5))
    if len(by_half) >= 3:
        ticks = by_half if len(by_half) <= most else by_ten if len(by_ten) >= 2 else by_half
        return ticks[:: -(-len(ticks) // most)]
    if high - low < _WIDE_OCTAVES and abs(low) < _FAR_OCTAVES:
        values = linear_ticks(2.0**low, 2.0**high, most)
        ticks = [math.log2(value) for value in values if value > 0]
        if len(ticks) >= 2:
            return ticks
    return log2_ticks(low, high, most)


def tick_label(tick: float, log: bool) -> str:
    if log:
        value = 2.0**tick
        return format_count(float(f"{value:.2g}") if value >= 1000 or value < 10 else round(value))
    return format_count(round(tick, 10)) if tick else "0"


def lanes(
    figure: Figure, view: View, width: int, most: int, gutter: int, styles: Mapping[str, Style]
) -> list[list[Segment]]:
    """A line for each mark with its interval as a bar; one line for all, without bars, where not so many have room."""
    marks = figure.marks
    if not marks or most < 1:
        return []
    rows = [[mark] for mark in marks] if len(marks) <= most else [marks]
    lines = []
    for number, row in enumerate(rows):
        cells: list[tuple[str, int]] = [(" ", -1)] * width
        for mark in row:
            _bar(figure, view, mark, cells, with_interval=len(rows) == len(marks))
        label = _LANES if number == 0 else ""
        segments = [Segment(f"{label:>{LEFT - 1}}│" + " " * gutter, styles["axis"])]
        segments += [Segment(sign, styles["" if colour < 0 else str(colour % 8)]) for sign, colour in cells]
        lines.append(list(Segment.simplify(segments)))
    return lines


def _bar(figure: Figure, view: View, mark: Mark, cells: list[tuple[str, int]], *, with_interval: bool) -> None:
    """├──▼──┤; an end that is open, or outside the view, is an arrow."""
    width = len(cells)

    def column_of(value: float) -> int:
        place = to_axis(value, figure.log_x)
        share = 0.0 if place is None else (place - view.x_low) / (view.x_high - view.x_low)
        return round(min(max(share, -1.0), 2.0) * (width - 1))

    middle = column_of(mark.x)
    if with_interval and (mark.low is not None or mark.high is not None):
        low = column_of(mark.low) if mark.low is not None else -1
        high = column_of(mark.high) if mark.high is not None else width
        for column in range(max(0, low), min(width, high + 1)):
            cells[column] = ("─", mark.colour)
        for column, end, open_end in ((low, "├", "◂"), (high, "┤", "▸")):
            at = min(max(column, 0), width - 1)
            cells[at] = (end if at == column else open_end, mark.colour)
    if 0 <= middle < width:
        cells[middle] = ("▼" if with_interval else "▾", mark.colour)
