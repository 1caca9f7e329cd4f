"""What a plot shows: series, marks, axes, and the part of the plane that is looked at. Values in, axis units out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from kitui.services.format import number
from kitui.services.palette import MARKERS
from kitui.tui.plot.raster import View, smoothed

SMOOTHING_POINTS = 9
_SAME = 1e-6  # octaves, or the axis' own units
_SMALLEST_SHARE, _LARGEST_SHARE = 1e-4, 8.0  # of the whole view: how far one may zoom

Limits = tuple[float, float] | None
Values = Sequence[float | None]


class Series(NamedTuple):
    """One curve; a gap is NaN or None. `points` draws markers, `line` joins them; `hollow` markers are unfinished.
    `band` is filled between its lower and upper values; `spread` is drawn as upright lines at the points; `zero` is the
    value at x = 0, which has a place of its own left of a log axis. Series of one `group` go by one entry of the
    legend, that of the first with a label."""

    label: str
    x: Sequence[float]
    y: Values
    colour: int
    points: bool = True
    line: bool = True
    hollow: bool = False
    band: tuple[Values, Values] | None = None
    spread: tuple[Values, Values] | None = None
    symbol: int | None = None
    zero: float | None = None
    group: str = ""
    named: bool = False
    """Whether its last point has its label beside it, where there is room, and the legend none."""

    @property
    def marker(self) -> str:
        if not self.points:
            return "━"
        return "○" if self.hollow else MARKERS[(self.colour if self.symbol is None else self.symbol) % len(MARKERS)]

    @property
    def entry(self) -> str:
        """What it goes by in the legend."""
        return self.group or self.label


class Mark(NamedTuple):
    """A place on the x axis with its interval, in the colour of a series: a bar on the axis, and, where `y` is given, a
    sign on the curve. An open end of the interval is None."""

    x: float
    colour: int
    y: float | None = None
    low: float | None = None
    high: float | None = None
    group: str = ""


class ScaledSeries(NamedTuple):
    """A series in axis units: log2 of its values on a log axis. Arrays of one length."""

    x: np.ndarray
    y: np.ndarray
    band: tuple[np.ndarray, np.ndarray] | None
    spread: tuple[np.ndarray, np.ndarray] | None


class Content(NamedTuple):
    """What there is to draw, before any key was pressed. Limits are in values; `window`: a shaded stretch of x."""

    series: tuple[Series, ...] = ()
    marks: tuple[Mark, ...] = ()
    title: str = ""
    x_name: str = ""
    window: Limits = None
    x_limits: Limits = None
    y_limits: Limits = None
    empty: str = "no data yet"


@dataclass
class Figure:
    """The content and how it is looked at. `zoom` and `cursor_x` are in axis units; `hidden` are entries of the legend
    that are switched off, `chosen` is the one that its keys mean."""

    content: Content
    log_x: bool = False
    log_y: bool = False
    smooth: bool = False
    zoom: View | None = None
    cursor_x: float | None = None
    hidden: set[str] = field(default_factory=set)
    chosen: str = ""

    @property
    def entries(self) -> list[str]:
        """The legend's entries, in their order."""
        return list(dict.fromkeys(one.entry for one in self.content.series if one.label))

    @property
    def series(self) -> list[Series]:
        """Those that are not switched off."""
        return [one for one in self.content.series if one.entry not in self.hidden]

    @property
    def marks(self) -> list[Mark]:
        return [one for one in self.content.marks if one.group not in self.hidden]

    def choose(self, by: int) -> None:
        """The next entry of the legend, or the one before."""
        entries = self.entries
        if entries:
            start = entries.index(self.chosen) if self.chosen in entries else -1 if by > 0 else 0
            self.chosen = entries[(start + by) % len(entries)]

    def switch(self) -> None:
        """The chosen entry off, or on again."""
        if self.chosen in self.entries:
            self.hidden ^= {self.chosen}

    def isolate(self) -> None:
        """The chosen entry alone, the first where none was chosen; all of them, where it is alone already."""
        if self.chosen not in self.entries:
            self.choose(1)
        others = set(self.entries) - {self.chosen}
        if self.chosen in self.entries:
            self.hidden = set() if others and others <= self.hidden else others

    def curve(self, one: Series) -> ScaledSeries:
        """The series in axis units; what a log axis cannot show is left out (x) or a gap (y)."""
        x, y = np.array(one.x, dtype=float), np.array(one.y, dtype=float)
        if self.smooth and one.line and not one.hollow and len(y) > SMOOTHING_POINTS:
            y = smoothed(y, SMOOTHING_POINTS)
        keep = x > 0 if self.log_x else np.ones(len(x), dtype=bool)
        x = np.log2(x[keep]) if self.log_x else x

        def on_axis(values: Any) -> np.ndarray:
            kept = np.array(values, dtype=float)[keep]
            return _log2(kept) if self.log_y else kept

        band, spread = (p and (on_axis(p[0]), on_axis(p[1])) for p in (one.band, one.spread))
        return ScaledSeries(x, on_axis(y), band, spread)

    @property
    def view(self) -> View:
        return self.zoom if self.zoom is not None else self.whole

    @property
    def whole(self) -> View:
        """The view that holds everything, or what the limits say."""
        curves = [self.curve(one) for one in self.content.series]
        x_low, x_high = _extent(self.content.x_limits, self.log_x, [curve.x for curve in curves], 0.0)
        y_low, y_high = _extent(self.content.y_limits, self.log_y, [curve.y for curve in curves], 0.05)
        room = 0.02 * (x_high - x_low)
        return View(x_low - room, x_high + room, y_low, y_high)

    @property
    def zeros(self) -> list[Series]:
        """The series that have a place left of the axis: on a log axis that is seen whole."""
        return [one for one in self.series if one.zero is not None] if self.log_x and self.zoom is None else []

    def zoom_by(self, factor: float) -> None:
        """Narrow the view by `factor` around the value cursor, or the middle; not beyond what can be drawn."""
        view, whole = self.view, self.whole
        share = (view.x_high - view.x_low) / (whole.x_high - whole.x_low)
        if not _SMALLEST_SHARE < share / factor < _LARGEST_SHARE:
            return
        x = self.cursor_x if self.cursor_x is not None else (view.x_low + view.x_high) / 2
        y, half = (view.y_low + view.y_high) / 2, (view.y_high - view.y_low) / 2 / factor
        self.zoom = View(x - (x - view.x_low) / factor, x + (view.x_high - x) / factor, y - half, y + half)

    def pan_by(self, right: float, up: float) -> None:
        """Move the view by these shares of itself."""
        view = self.view
        dx, dy = right * (view.x_high - view.x_low), up * (view.y_high - view.y_low)
        self.zoom = View(view.x_low + dx, view.x_high + dx, view.y_low + dy, view.y_high + dy)

    def put_cursor(self, x: float, by: int = 0) -> None:
        """The value cursor to the place nearest to `x` where some curve has a point, and so many such places on."""
        found = [self.curve(one).x for one in self.series if one.points or not one.group]
        places = np.unique(np.round(np.concatenate(found), 9)) if found else np.array([])
        if len(places):
            at = int(np.argmin(np.abs(places - x))) + by
            self.cursor_x = float(places[max(0, min(at, len(places) - 1))])

    def value_at_cursor(self, one: Series) -> str:
        """The value of the point nearest to the cursor, or there of a line without points, in words; empty without a
        cursor or a point."""
        if self.cursor_x is None:
            return ""
        curve = self.curve(one)
        if not len(curve.x):
            return ""
        if one.points:
            value = float(curve.y[int(np.argmin(np.abs(curve.x - self.cursor_x)))])
        else:
            value = float(np.interp(self.cursor_x, curve.x, curve.y))
        return "gap" if math.isnan(value) else number(2.0**value if self.log_y else value)

    def is_at_cursor(self, one: Series) -> bool:
        """Whether it has a point where the value cursor is."""
        return self.cursor_x is not None and bool(np.any(np.abs(self.curve(one).x - self.cursor_x) < _SAME))


def to_axis(value: float, log: bool) -> float | None:
    """A value in axis units; None where a log axis has no place for it."""
    if not log:
        return value
    return math.log2(value) if value > 0 else None


def _extent(limits: Limits, log: bool, arrays: list[np.ndarray], room: float) -> tuple[float, float]:
    if limits is not None and (not log or limits[0] > 0):
        low, high = (math.log2(v) if log else v for v in limits)
    else:
        values = np.concatenate(arrays) if arrays else np.array([0.0, 1.0])
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        low, high = low - room * (high - low), high + room * (high - low)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _log2(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log2(values), np.nan)
