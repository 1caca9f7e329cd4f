"""A figure as lines for the terminal: legend, curves in braille with their markers, bands behind them, axes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from engine.spec.numbers import format_count
from kitui.tui.plot.axes import LEFT, lanes, x_axis, y_labels
from kitui.tui.plot.figure import SMOOTHING_POINTS, Figure, ScaledSeries, to_axis
from kitui.tui.plot.legend import legend
from kitui.tui.plot.raster import Canvas

MIN_WIDTH, MIN_HEIGHT = LEFT + 8, 4
_GUTTER = 5
"""Columns left of a broken axis, for what lies at zero."""
_ZERO_COLUMN = 1
_TALL = 11  # lines: from here on a legend may take two of them
_ROOM_FOR_LANES = 8  # lines of curves that are left beside the bars of the marks

Styles = Mapping[str, Style]
"""By part: "axis", "cursor", "" for plain text, "0" to "7" for the colours of series; "fill0" to "fill7" for
their bands and "window", where the terminal has colours to mix."""
_Overlay = dict[tuple[int, int], tuple[str, int]]
_CURSOR, _WINDOW, _HALF = 30, 8, 100


def draw(figure: Figure, width: int, height: int, styles: Styles) -> list[Strip]:
    """`height` lines of `width` cells; from MIN_WIDTH × MIN_HEIGHT upwards."""
    if not figure.content.series:
        lines = [[Segment(f" {figure.content.empty}", styles[""])], *([] for _ in range(height - 1))]
    else:
        view = figure.view
        gutter = gutter_of(figure, width)
        columns = width - LEFT - 1 - gutter
        head = legend(figure, width, 2 if height >= _TALL else 1, styles)
        bars = lanes(figure, view, columns, height - 2 - len(head) - _ROOM_FOR_LANES, gutter, styles)
        canvas = Canvas(columns, height - 2 - len(head) - len(bars), view)
        overlay = _paint(figure, canvas, can_fill="fill0" in styles)
        lines = [*head, *_body(figure, canvas, overlay, gutter, styles), *bars]
        lines += x_axis(figure, view, columns, gutter, styles)
    return [Strip(line).crop(0, width).adjust_cell_length(width, styles[""]) for line in lines]


def gutter_of(figure: Figure, width: int) -> int:
    """The columns left of a broken axis, where something lies there and there is room."""
    return _GUTTER if figure.zeros and width >= MIN_WIDTH + 3 * _GUTTER else 0


def state_words(figure: Figure) -> str:
    """What the user has done to the view, to stand beside the title."""
    words = []
    if figure.smooth:
        words.append(f"smoothed over {SMOOTHING_POINTS} points")
    if figure.zoom is not None:
        words.append("zoomed")
    if figure.cursor_x is not None:
        words.append(f"at {format_count(float(f'{2.0**figure.cursor_x if figure.log_x else figure.cursor_x:.4g}'))}")
    return ", ".join(words)


def _paint(figure: Figure, canvas: Canvas, *, can_fill: bool) -> _Overlay:
    """Draw all curves; gives the characters that go over the braille."""
    series = figure.series
    curves: list[ScaledSeries] = [figure.curve(one) for one in series]
    for one, curve in zip(series, curves, strict=True):
        if curve.band is not None:
            (canvas.fill if can_fill else canvas.band)(curve.x, *curve.band, one.colour)
    for one, curve in zip(series, curves, strict=True):
        if curve.spread is not None:
            canvas.upright(curve.x, *curve.spread, one.colour)
    for one, curve in zip(series, curves, strict=True):
        if one.line and len(curve.x) > 1:
            canvas.line(curve.x, curve.y, one.colour)
    overlay: _Overlay = {}
    for one, curve in zip(series, curves, strict=True):
        if one.points:
            overlay.update(dict.fromkeys(canvas.cells(curve.x, curve.y), (one.marker, one.colour)))
    for mark in figure.marks:
        x, y = to_axis(mark.x, figure.log_x), None if mark.y is None else to_axis(mark.y, figure.log_y)
        place = canvas.cell(x, y) if x is not None and y is not None else None
        if place is not None:
            overlay[place] = ("▼", mark.colour)
    for one, curve in zip(series, curves, strict=True):
        if one.named and len(curve.x):
            _name(canvas, overlay, one.label, canvas.cell(float(curve.x[-1]), float(curve.y[-1])), one.colour)
    return overlay


def _name(canvas: Canvas, overlay: _Overlay, label: str, place: tuple[int, int] | None, colour: int) -> None:
    """A label beside a point: on its right, on its left, or, where others are in the way, a line below or above."""
    if place is None:
        return
    row, column = place
    starts = [(row + dy, start) for dy in (0, 1, -1) for start in (column + 2, column - 1 - len(label))]
    for y, start in starts:
        cells = [(y, x) for x in range(start - 1, start + len(label) + 1)]
        if 0 <= y < canvas.height and start >= 0 and start + len(label) <= canvas.width and not overlay.keys() & cells:
            overlay.update({(y, start + i): (letter, colour) for i, letter in enumerate(label)})
            return


def _body(figure: Figure, canvas: Canvas, overlay: _Overlay, gutter: int, styles: Styles) -> list[list[Segment]]:
    """The rows of the plot: tick label, axis, what lies at zero, and the cells in runs of one look."""
    labels, composed = y_labels(figure, canvas), dict[int, Style]()
    characters, fronts, grounds = _cells(figure, canvas, overlay, with_window="window" in styles)
    keys_HW = (fronts + 1) * 1000 + grounds + 1
    at_zero = _at_zero(figure, canvas)
    lines = []
    for y in range(canvas.height):
        label = labels.get(y, "")
        segments = [Segment(f"{label:>{LEFT - 1}}{'┤' if label else '│'}", styles["axis"])]
        if gutter:
            marker, colour = at_zero.get(y, (" ", -1))
            segments.append(
                Segment(" " * _ZERO_COLUMN + marker + " " * (gutter - 1 - _ZERO_COLUMN), _front(styles, colour))
            )
        text = characters[y].astype("<u4").tobytes().decode("utf-32-le")
        starts = [0, *(np.flatnonzero(np.diff(keys_HW[y])) + 1).tolist(), canvas.width]
        for start, end in pairwise(starts):
            key = int(keys_HW[y, start])
            if key not in composed:
                composed[key] = _look(styles, key // 1000 - 1, key % 1000 - 1)
            segments.append(Segment(text[start:end], composed[key]))
        lines.append(segments)
    return lines


def _cells(
    figure: Figure, canvas: Canvas, overlay: _Overlay, *, with_window: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Code points, colours of what is drawn and of what lies behind it, [H, W] each; −1 for none."""
    characters, fronts = canvas.cells_of_text(), canvas.owner_HW.astype(np.int64)
    upper, lower = canvas.fill_HYW[:, 0].astype(np.int64), canvas.fill_HYW[:, 1].astype(np.int64)
    grounds = np.where(upper >= 0, upper, lower)
    is_half = (characters == ord("▀")) | (characters == ord("▄"))
    fronts = np.where(is_half, _HALF + grounds, fronts)
    grounds = np.where(is_half, -1, grounds)
    for (row, column), (character, colour) in overlay.items():
        if is_half[row, column]:
            grounds[row, column] = fronts[row, column] - _HALF
        characters[row, column], fronts[row, column] = ord(character), colour
    columns = _window_columns(figure, canvas)
    if columns is not None and with_window:
        part = grounds[:, columns]
        grounds[:, columns] = np.where(part < 0, _WINDOW, part)
    elif columns is not None:
        dotted = np.zeros_like(fronts, dtype=bool)
        dotted[::2, columns] = np.arange(canvas.width)[columns] % 2 == 0
        characters = np.where(dotted & (characters == ord(" ")), ord("·"), characters)
    if figure.cursor_x is not None:
        place = canvas.cell(figure.cursor_x, canvas.view.y_low)
        if place is not None:
            blank = characters[:, place[1]] == ord(" ")
            characters[blank, place[1]], fronts[blank, place[1]] = ord("│"), _CURSOR
    # A blank takes the colour of what stands before it: fewer changes of colour, fewer bytes to send.
    drawn = characters != ord(" ")
    last = np.maximum.accumulate(np.where(drawn, np.arange(canvas.width), 0), axis=1)
    return characters, np.take_along_axis(np.where(drawn, fronts, -1), last, axis=1), grounds


def _window_columns(figure: Figure, canvas: Canvas) -> slice | None:
    """The columns of the shaded stretch."""
    if figure.content.window is None:
        return None
    ends = [to_axis(value, figure.log_x) for value in figure.content.window]
    if ends[0] is None or ends[1] is None:
        return None
    view = canvas.view
    start, end = ((end - view.x_low) / (view.x_high - view.x_low) * canvas.width for end in ends if end is not None)
    columns = slice(max(0, round(start)), min(canvas.width, round(end)))
    return columns if columns.start < columns.stop else None


def _at_zero(figure: Figure, canvas: Canvas) -> dict[int, tuple[str, int]]:
    """The markers left of a broken axis, by row."""
    found = {}
    for one in figure.zeros:
        y = None if one.zero is None else to_axis(one.zero, figure.log_y)
        place = None if y is None else canvas.cell((canvas.view.x_low + canvas.view.x_high) / 2, y)
        if place is not None:
            found[place[0]] = (one.marker, one.colour)
    return found


def _look(styles: Styles, front: int, ground: int) -> Style:
    style = Style(color=styles[f"fill{front - _HALF}"].bgcolor) if front >= _HALF else _front(styles, front)
    if ground < 0:
        return style if front < _HALF else styles[""] + style
    behind = styles["window" if ground == _WINDOW else f"fill{ground}"]
    return style + Style(bgcolor=behind.bgcolor)


def _front(styles: Styles, colour: int) -> Style:
    return styles["" if colour < 0 else "cursor" if colour == _CURSOR else str(colour % 8)]
