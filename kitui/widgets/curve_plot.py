"""Curves on the screen: textual-plot behind the few things that our plots need.

Series keep their colour and their marker; a log2 axis is drawn by plotting log2 and writing powers; gaps (None) split a
line; long series are thinned to what a cell can show, lowest and highest of each column kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Grid, Vertical
from textual.strip import Strip
from textual.widgets import Static
from textual_hires_canvas import Canvas, HiResMode
from textual_plot import AxisFormatter, PlotWidget
from textual_plot.plot_widget import Legend

from engine.spec.axes import format_count

# Told apart by shape and by colour: neither has to do it alone.
MARKERS = ("●", "■", "▲", "◆", "▼", "★", "✚", "✖")
COLOURS = ("#3b8ee0", "#e0843b", "#3fa65a", "#c4499a", "#8a6fd1", "#b0902a", "#2fa5a5", "#d0504f")


class Series(NamedTuple):
    """One curve. `points` draws markers, `line` joins them; `hollow` markers are unfinished."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: int
    points: bool = True
    line: bool = True
    hollow: bool = False


class VerticalMark(NamedTuple):
    """A place on the x axis, in the colour of a series."""

    x: float
    colour: int


class _Canvas(Canvas):
    def render_line(self, y: int) -> Strip:
        """Lines that the canvas lacks while it is being resized come with a segment without a style, on which Textual's
        filter for NO_COLOR fails (textual 8.2, textual-hires-canvas 0.14)."""
        strip = super().render_line(y)
        return strip if strip.cell_length else Strip([])


class _Plot(PlotWidget):
    def compose(self) -> ComposeResult:
        with Grid():
            for part in ("margin-top", "margin-left", "plot", "margin-bottom"):
                yield _Canvas(1, 1, id=part)
        yield Legend(id="legend")


class CurvePlot(Vertical):
    """A titled plot of series, with a legend line above it."""

    DEFAULT_CSS = """
    CurvePlot {
        height: 1fr;
        & > .curve-title { height: 1; text-style: bold; padding: 0 1; }
        & > .curve-legend { height: 1; padding: 0 1; }
        & > PlotWidget { height: 1fr; }
        & PlotWidget > .plot--axis { color: $foreground 40%; }
        & PlotWidget > .plot--tick { color: $foreground; text-style: none; }
        & PlotWidget:focus > .plot--axis { color: $primary; }
        & PlotWidget > .plot--label { color: $foreground; text-style: none; }
    }
    """

    def __init__(self, title: str, *, log_x: bool = False, log_y: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title, self._log_x, self._log_y = title, log_x, log_y
        self._shown: tuple[object, ...] | None = None  # what is drawn now; its view last

    def compose(self) -> ComposeResult:
        yield Static(self._title, classes="curve-title", markup=False)
        yield Static("", classes="curve-legend", markup=False)
        yield _Plot()

    def on_mount(self) -> None:
        plot = self.query_one(PlotWidget)
        plot.margin_top, plot.margin_bottom, plot.margin_left = 0, 1, 7
        plot.set_x_formatter(_Log2Ticks() if self._log_x else _CountTicks())
        if self._log_y:
            plot.set_y_formatter(_Log2Ticks())

    def show(
        self,
        series: Sequence[Series],
        *,
        title: str,
        view: object,
        marks: Sequence[VerticalMark] = (),
        x_limits: tuple[float, float] | None = None,
        y_limits: tuple[float, float] | None = None,
        empty: str = "no data yet",
    ) -> None:
        """Draw these curves. Nothing is drawn again where nothing has changed; where the user has zoomed to is kept
        until `view` names another thing to look at."""
        content = (tuple(series), title, tuple(marks), view)
        if content == self._shown or not self.is_mounted:
            return
        new_view = self._shown is None or self._shown[-1] != view
        self._shown = content
        self.query_one(".curve-title", Static).update(title)
        self.query_one(".curve-legend", Static).update(_legend(series) if series else empty)
        plot = self.query_one(PlotWidget)
        plot.clear()
        for one in series:
            self._draw(plot, one)
        for mark in marks:
            plot.add_v_line(self._to_axis_x(mark.x), line_style=COLOURS[mark.colour % len(COLOURS)])
        if new_view:
            # Markers on the very border would be cut: a little room beside them.
            plot.set_xlimits(*(_padded(*map(self._to_axis_x, x_limits)) if x_limits else (None, None)))
            plot.set_ylimits(*(y_limits or (None, None)))

    def _draw(self, plot: PlotWidget, one: Series) -> None:
        colour = COLOURS[one.colour % len(COLOURS)]
        for xs, ys in _unbroken(one.x, one.y):
            x = np.array([self._to_axis_x(v) for v in xs])
            y = np.log2(ys) if self._log_y else np.array(ys)
            if one.line and len(x) > 1:
                width = max(20, plot.size.width)
                plot.plot(*_thinned(x, y, width), line_style=colour, hires_mode=HiResMode.BRAILLE)
            if one.points:
                plot.scatter(x, y, marker=_marker(one), marker_style=colour)

    def _to_axis_x(self, value: float) -> float:
        return math.log2(value) if self._log_x else value


def _legend(series: Sequence[Series]) -> Text:
    text = Text()
    for one in series:
        if one.label:
            text.append(_marker(one), style=COLOURS[one.colour % len(COLOURS)]).append(f" {one.label}  ")
    return text


def _marker(one: Series) -> str:
    if not one.points:
        return "━"
    return "○" if one.hollow else MARKERS[one.colour % len(MARKERS)]


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.03 * max(high - low, 1e-9)
    return low - room, high + room


def _unbroken(x: Sequence[float], y: Sequence[float | None]) -> list[tuple[list[float], list[float]]]:
    """The stretches of a series between its gaps."""
    stretches: list[tuple[list[float], list[float]]] = [([], [])]
    for xi, yi in zip(x, y, strict=True):
        if yi is None or not math.isfinite(yi):
            if stretches[-1][0]:
                stretches.append(([], []))
        else:
            stretches[-1][0].append(xi)
            stretches[-1][1].append(yi)
    return [s for s in stretches if s[0]]


def _thinned(x: np.ndarray, y: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """At most two points a column of cells: the lowest and the highest there, in their order."""
    if len(x) <= 4 * width:
        return x, y
    edges = np.linspace(0, len(x), 2 * width + 1).astype(int)
    keep = []
    for start, end in pairwise(edges.tolist()):
        if end > start:
            keep.extend(sorted({start + int(np.argmin(y[start:end])), start + int(np.argmax(y[start:end]))}))
    return x[keep], y[keep]


class _Log2Ticks(AxisFormatter):
    """Ticks at powers of two of an axis that holds log2 values, labelled by the values themselves."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        step = max(1, math.ceil((max_ - min_) / max_ticks))
        ticks = [float(t) for t in range(math.ceil(min_), math.floor(max_) + 1, step)]
        if len(ticks) < 2:  # less than two octaves: halves, or the ends themselves
            ticks = [t / 4 for t in range(math.ceil(4 * min_), math.floor(4 * max_) + 1)][:: max(1, round(max_ - min_))]
        return ticks

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [format_count(round(2**t, 1 if 2**t < 10 else 0)) for t in ticks]


class _CountTicks(AxisFormatter):
    """Round numbers with a suffix: 50k, 100k."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 6) -> list[float]:
        span = max(max_ - min_, 1e-12)
        unit = 10 ** math.floor(math.log10(span / max_ticks))
        step = next(unit * m for m in (1, 2, 5, 10) if span / (unit * m) <= max_ticks)
        return [step * i for i in range(math.ceil(min_ / step), math.floor(max_ / step) + 1)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [format_count(t) for t in ticks]
