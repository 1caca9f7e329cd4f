"""A figure as lines for the terminal: title, legend, braille curves with their markers, axes."""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from engine.spec.numbers import format_count
from kitui.tui.plot.figure import MARKERS, SMOOTHING_POINTS, Figure, ScaledSeries, VerticalMark, to_axis
from kitui.tui.plot.raster import Canvas, View, linear_ticks, log2_ticks

LEFT = 7
"""Columns for tick labels and the axis."""
MIN_WIDTH, MIN_HEIGHT = LEFT + 8, 5
_TALL = 11  # lines: from here on a legend may take two of them

Styles = Mapping[str, Style]
"""By part: "title", "axis", "cursor", "" for plain text, "0" to "7" for the colours of series."""
_Overlay = dict[tuple[int, int], tuple[str, int]]


def draw(figure: Figure, width: int, height: int, styles: Styles) -> list[Strip]:
    """`height` lines of `width` cells; from MIN_WIDTH × MIN_HEIGHT upwards."""
    title = Segment(f" {figure.content.title}{state_words(figure)}", styles["title"])
    if not figure.content.series:
        lines = [[title], [Segment(f" {figure.content.empty}", styles[""])], *([] for _ in range(height - 2))]
    else:
        view = figure.view
        legend = _legend(figure, width, 2 if height >= _TALL else 1, styles)
        canvas = Canvas(width - LEFT - 1, height - 3 - len(legend), view)
        overlay = _paint(figure, canvas)
        lines = [[title], *legend, *_body(figure, canvas, overlay, styles)]
        lines += _x_axis(figure, view, canvas.width, styles)
    return [Strip(line).crop(0, width).adjust_cell_length(width, styles[""]) for line in lines]


def state_words(figure: Figure) -> str:
    """What the user has done to the view, for the title."""
    words = []
    if figure.smooth:
        words.append(f"smoothed over {SMOOTHING_POINTS} points")
    if figure.zoom is not None:
        words.append("zoomed")
    if figure.cursor_x is not None:
        words.append(f"at {format_count(round(2.0**figure.cursor_x if figure.log_x else figure.cursor_x, 3))}")
    return f"  [{', '.join(words)}]" if words else ""


def _paint(figure: Figure, canvas: Canvas) -> _Overlay:
    """Draw all curves; gives the characters that go over the braille."""
    curves: list[tuple[ScaledSeries, int]] = [(figure.curve(one), one.colour) for one in figure.content.series]
    for curve, colour in curves:
        if curve.band is not None:
            canvas.band(curve.x, *curve.band, colour)
        if curve.spread is not None:
            canvas.upright(curve.x, *curve.spread, colour)
    overlay: _Overlay = {}
    for mark in figure.content.marks:
        _mark(figure, canvas, mark, overlay)
    for one, (curve, colour) in zip(figure.content.series, curves, strict=True):
        if one.line and len(curve.x) > 1:
            canvas.line(curve.x, curve.y, colour)
    for one, (curve, colour) in zip(figure.content.series, curves, strict=True):
        if one.points:
            overlay.update(dict.fromkeys(canvas.cells(curve.x, curve.y), (one.marker, colour)))
    return overlay


def _mark(figure: Figure, canvas: Canvas, mark: VerticalMark, overlay: _Overlay) -> None:
    x = to_axis(mark.x, figure.log_x)
    place = canvas.cell(x, canvas.view.y_low) if x is not None else None
    if place is not None:
        for row in range(canvas.height):
            overlay.setdefault((row, place[1]), ("╎", mark.colour))


def _body(figure: Figure, canvas: Canvas, overlay: _Overlay, styles: Styles) -> list[list[Segment]]:
    """The rows of the plot: tick label, axis, and the cells in runs of one colour."""
    labels = _y_labels(figure, canvas)
    cursor = _cursor_column(figure, canvas)
    owners = canvas.owner_HW.tolist()
    by_row: dict[int, dict[int, tuple[str, int]]] = {}
    for (row, column), drawn in overlay.items():
        by_row.setdefault(row, {})[column] = drawn
    lines = []
    for y, text in enumerate(canvas.text()):
        cells, colours = list(text), owners[y]
        for column, (character, colour) in by_row.get(y, {}).items():
            cells[column], colours[column] = character, colour
        label = labels.get(y, "")
        segments = [Segment(f"{label:>{LEFT - 1}}{'┤' if label else '│'}", styles["axis"])]
        start = 0
        for end in range(1, len(cells) + 1):
            goes_on = end < len(cells) and cursor not in (start, end)
            if goes_on and (colours[end] == colours[start] or colours[end] < 0):
                continue
            style = _colour(styles, colours[start])
            run = "".join(cells[start:end])
            if start == cursor and run == " ":
                run, style = "│", styles["cursor"]
            segments.append(Segment(run, style))
            start = end
        lines.append(segments)
    return lines


def _x_axis(figure: Figure, view: View, width: int, styles: Styles) -> list[list[Segment]]:
    ticks = (log2_ticks if figure.log_x else linear_ticks)(view.x_low, view.x_high, max(2, width // 9))
    line, labels = ["─"] * width, [" "] * (width + LEFT + 1)
    free_from = 0
    for tick in ticks:
        column = round((tick - view.x_low) / (view.x_high - view.x_low) * (width - 1))
        text = _tick_label(tick, figure.log_x)
        start = max(0, min(LEFT + column - len(text) // 2, len(labels) - len(text)))
        if 0 <= column < width:
            line[column] = "┬"
            if start >= free_from:
                labels[start : start + len(text)] = text
                free_from = start + len(text) + 1
    corner = " " * (LEFT - 1) + "└"
    return [[Segment(corner + "".join(line), styles["axis"])], [Segment("".join(labels), styles["axis"])]]


def _y_labels(figure: Figure, canvas: Canvas) -> dict[int, str]:
    view = canvas.view
    labels = {}
    for tick in (log2_ticks if figure.log_y else linear_ticks)(view.y_low, view.y_high, max(2, canvas.height // 3)):
        cell = canvas.cell(view.x_low, tick)
        if cell is not None:
            labels[cell[0]] = _tick_label(tick, figure.log_y)
    return labels


def _tick_label(tick: float, log: bool) -> str:
    if log:
        value = 2.0**tick
        return format_count(float(f"{value:.2g}") if value >= 1000 else round(value, 1 if value < 10 else 0))
    return format_count(round(tick, 10)) if tick else "0"


def _legend(figure: Figure, width: int, max_lines: int, styles: Styles) -> list[list[Segment]]:
    """The series by marker and name; with the value cursor, their values there. As many lines as that takes."""
    indent, more = Segment(" ", styles[""]), Segment("…", styles[""])
    lines = [[indent]]
    room = width - 2
    for one in figure.content.series:
        if not one.label:
            continue
        text = f"{' '.join(part for part in (one.marker, one.label, figure.value_at_cursor(one)) if part)}  "
        if len(text) > room and len(lines) < max_lines and len(lines[-1]) > 1:
            lines.append([indent])
            room = width - 2
        if len(text) > room:
            lines[-1].append(more)
            break
        room -= len(text)
        lines[-1].append(Segment(text, _colour(styles, one.colour)))
    return lines


def _colour(styles: Styles, colour: int) -> Style:
    return styles["" if colour < 0 else str(colour % len(MARKERS))]


def _cursor_column(figure: Figure, canvas: Canvas) -> int:
    if figure.cursor_x is None:
        return -1
    return round((figure.cursor_x - canvas.view.x_low) / (canvas.view.x_high - canvas.view.x_low) * (canvas.width - 1))
