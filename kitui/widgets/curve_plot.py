"""Curves on the screen: zoom, pan, a value cursor, log2 and linear axes, gaps, seed bands; drawn in braille.

Series keep their colour and their marker, so that neither has to tell them apart alone. Nothing is smoothed unless
asked for, and the title says so then. Only lines that changed are sent to the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from engine.spec.axes import format_count
from kitui.actions import bindings

if TYPE_CHECKING:
    import numpy as np

    from kitui.raster import Canvas, View

MARKERS = ("●", "■", "▲", "◆", "▼", "★", "✚", "✖")
COLOURS = ("#3b8ee0", "#e0843b", "#3fa65a", "#c4499a", "#8a6fd1", "#b0902a", "#2fa5a5", "#d0504f")
_ANSI_COLOURS = ("blue", "yellow", "green", "magenta", "cyan", "red", "bright_blue", "bright_magenta")
_LEFT = 7  # columns for tick labels and the axis
_SMOOTHING = 9
_SMALLEST_SHARE, _LARGEST_SHARE = 1e-4, 8.0  # of the whole view: how far one may zoom


class Series(NamedTuple):
    """One curve; a gap is NaN or None. `points` draws markers, `line` joins them; `hollow` markers are unfinished.
    `band` is stippled between its lower and upper values; `spread` is drawn as upright lines at the points."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: int
    points: bool = True
    line: bool = True
    hollow: bool = False
    band: tuple[Sequence[float | None], Sequence[float | None]] | None = None
    spread: tuple[Sequence[float | None], Sequence[float | None]] | None = None


class VerticalMark(NamedTuple):
    """A place on the x axis, in the colour of a series."""

    x: float
    colour: int


class CurvePlot(Widget, can_focus=True):
    """A titled plot of series with a legend line. What the user has zoomed to stays until another thing is shown."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"plot--axis", "plot--title", "plot--cursor"}
    DEFAULT_CSS = """
    CurvePlot { height: 1fr; }
    CurvePlot > .plot--axis { color: $foreground-muted; }
    CurvePlot > .plot--title { text-style: bold; }
    CurvePlot:focus > .plot--title { text-style: bold underline; }
    CurvePlot > .plot--cursor { color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("plot")

    def __init__(self, title: str, *, log_x: bool = False, log_y: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = title
        self._log_x, self._log_y = log_x, log_y
        self._series: tuple[Series, ...] = ()
        self._marks: tuple[VerticalMark, ...] = ()
        self._limits: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None)
        self._subject: object = None
        self._empty = "no data yet"
        self._zoom: View | None = None
        self._cursor_x: float | None = None
        self._smooth = False
        self._lines: list[Strip] = []
        self._styles: dict[str, Style] = {}
        self._content: tuple[object, ...] = ()

    # What is shown

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
        """Draw these curves. `view` names what is looked at: another name undoes the zoom. Limits are in values."""
        content = (tuple(series), title, tuple(marks), view, x_limits, y_limits, empty)
        if content == self._content:
            return
        if view != self._subject:
            self._zoom, self._cursor_x = None, None
        self._content = content
        self._series, self._title, self._marks = content[0], title, content[2]
        self._subject, self._limits, self._empty = view, (x_limits, y_limits), empty
        self._redraw()

    def _redraw(self) -> None:
        """Draw, and send the lines that are not as they were."""
        if not self.is_mounted or self.size.width < _LEFT + 8 or self.size.height < 5:
            self._lines = []
            return
        self._styles = self._styles or self._read_styles()
        lines = self._draw()
        before, self._lines = self._lines, lines
        if len(before) != len(lines):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, lines, strict=True)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    def on_resize(self) -> None:
        self._lines = []
        self._redraw()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        styles = self._read_styles() if self.is_mounted else {}
        if styles and styles != self._styles:  # coming back to a screen changes none
            self._styles = styles
            self._lines = []
            self._redraw()
            self.refresh()

    def _read_styles(self) -> dict[str, Style]:
        """Working out a style takes Textual longer than drawing a curve with it: once for all."""
        plain = self.rich_style
        names = _ANSI_COLOURS if self.app.native_ansi_color or self.app.ansi_color else COLOURS
        styles = {part: plain + self.get_component_rich_style(f"plot--{part}") for part in ("axis", "title", "cursor")}
        styles |= {str(i): plain + Style(color=name) for i, name in enumerate(names)}
        return styles | {"": plain}

    def render_line(self, y: int) -> Strip:
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, self.rich_style)

    # Drawing

    def _draw(self) -> list[Strip]:
        width, height = self.size.width - _LEFT - 1, self.size.height - 4
        title = self._styles["title"]
        lines = [self._strip([Segment(f" {self._title}{self._flags()}", title)]), self._strip(self._legend())]
        if not self._series:
            words = Segment(f" {self._empty}", self._styles[""])
            return [lines[0], self._strip([words]), *(self._strip([]) for _ in range(self.size.height - 2))]
        from kitui.raster import Canvas

        view = self._view()
        canvas = Canvas(width, height, view)
        arrays = [self._arrays(one) for one in self._series]
        for one, (x, _, band, spread) in zip(self._series, arrays, strict=True):
            if band is not None:
                canvas.band(x, band[0], band[1], one.colour)
            if spread is not None:
                canvas.upright(x, spread[0], spread[1], one.colour)
        overlay: dict[tuple[int, int], tuple[str, int]] = {}
        for mark in self._marks:
            self._mark(canvas, mark, overlay)
        for one, (x, y, _, _) in zip(self._series, arrays, strict=True):
            if one.line and len(x) > 1:
                canvas.line(x, y, one.colour)
        for one, (x, y, _, _) in zip(self._series, arrays, strict=True):
            if one.points:
                overlay.update(dict.fromkeys(canvas.cells(x, y), (_marker(one), one.colour)))
        lines.extend(self._body(canvas, overlay))
        lines.extend(self._x_axis(view, width))
        return lines

    def _body(self, canvas: Canvas, overlay: dict[tuple[int, int], tuple[str, int]]) -> list[Strip]:
        """The rows of the plot: tick label, axis, and the cells in runs of one colour."""
        axis = self._styles["axis"]
        labels = self._y_labels(canvas)
        cursor_column = self._cursor_column(canvas.width)
        cursor_style = self._styles["cursor"]
        owners = canvas.owner_HW.tolist()
        by_row: dict[int, dict[int, tuple[str, int]]] = {}
        for (row, column), drawn in overlay.items():
            by_row.setdefault(row, {})[column] = drawn
        strips = []
        for y, text in enumerate(canvas.text()):
            cells, colours = list(text), owners[y]
            for column, (character, colour) in by_row.get(y, {}).items():
                cells[column], colours[column] = character, colour
            label = labels.get(y, "")
            segments = [Segment(f"{label:>{_LEFT - 1}}{'┤' if label else '│'}", axis)]
            start = 0
            for end in range(1, len(cells) + 1):
                if (
                    end < len(cells)
                    and end != cursor_column
                    and start != cursor_column
                    and (colours[end] == colours[start] or colours[end] < 0)
                ):
                    continue
                style = self._colour_style(colours[start])
                run = "".join(cells[start:end])
                if start == cursor_column and run == " ":
                    run, style = "│", cursor_style
                segments.append(Segment(run, style))
                start = end
            strips.append(self._strip(segments))
        return strips

    def _x_axis(self, view: View, width: int) -> list[Strip]:
        from kitui.raster import linear_ticks, log2_ticks

        ticks = (log2_ticks if self._log_x else linear_ticks)(view.x_low, view.x_high, max(2, width // 9))
        line, labels = ["─"] * width, [" "] * (width + _LEFT + 1)
        free_from = 0
        for tick in ticks:
            column = round((tick - view.x_low) / (view.x_high - view.x_low) * (width - 1))
            text = self._label(tick, self._log_x)
            start = max(0, min(_LEFT + column - len(text) // 2, len(labels) - len(text)))
            if 0 <= column < width:
                line[column] = "┬"
                if start >= free_from:
                    labels[start : start + len(text)] = text
                    free_from = start + len(text) + 1
        axis = self._styles["axis"]
        corner = " " * (_LEFT - 1) + "└"
        return [self._strip([Segment(corner + "".join(line), axis)]), self._strip([Segment("".join(labels), axis)])]

    def _y_labels(self, canvas: Canvas) -> dict[int, str]:
        from kitui.raster import linear_ticks, log2_ticks

        view = canvas.view
        make = log2_ticks if self._log_y else linear_ticks
        labels = {}
        for tick in make(view.y_low, view.y_high, max(2, canvas.height // 3)):
            cell = canvas.cell(view.x_low, tick)
            if cell is not None:
                labels[cell[0]] = self._label(tick, self._log_y)
        return labels

    def _label(self, tick: float, log: bool) -> str:
        if log:
            value = 2.0**tick
            return format_count(float(f"{value:.2g}") if value >= 1000 else round(value, 1 if value < 10 else 0))
        return format_count(round(tick, 10)) if tick else "0"

    def _mark(self, canvas: Canvas, mark: VerticalMark, overlay: dict[tuple[int, int], tuple[str, int]]) -> None:
        x = self._to_axis(mark.x, self._log_x)
        place = canvas.cell(x, canvas.view.y_low) if x is not None else None
        if place is not None:
            for row in range(canvas.height):
                overlay.setdefault((row, place[1]), ("╎", mark.colour))

    def _legend(self) -> list[Segment]:
        """The series by marker and name; with the value cursor, their values there."""
        segments = [Segment(" ", self._styles[""])]
        room = self.size.width - 2
        for one in self._series:
            if not one.label:
                continue
            value = self._value_text(one)
            text = f"{_marker(one)} {one.label}{' ' + value if value else ''}  "
            if len(text) > room:
                segments.append(Segment("…", self._styles[""]))
                break
            room -= len(text)
            segments.append(Segment(text, self._colour_style(one.colour)))
        return segments

    def _flags(self) -> str:
        flags = []
        if self._smooth:
            flags.append(f"smoothed over {_SMOOTHING} points")
        if self._zoom is not None:
            flags.append("zoomed")
        if self._cursor_x is not None:
            value = 2.0**self._cursor_x if self._log_x else self._cursor_x
            flags.append(f"at {format_count(round(value, 3))}")
        return f"  [{', '.join(flags)}]" if flags else ""

    def _value_text(self, one: Series) -> str:
        """The value of the point nearest to the cursor."""
        if self._cursor_x is None or not one.x:
            return ""
        from kitui.raster import nearest_index

        x, y, _, _ = self._arrays(one)
        if not len(x):
            return ""
        value = float(y[nearest_index(x, self._cursor_x)])
        return "gap" if value != value else f"{2.0**value if self._log_y else value:.3g}"

    def _strip(self, segments: list[Segment]) -> Strip:
        strip = Strip(segments).crop(0, self.size.width)
        return strip.adjust_cell_length(self.size.width, self._styles[""])

    def _colour_style(self, colour: int) -> Style:
        return self._styles["" if colour < 0 else str(colour % len(COLOURS))]

    # Axes

    def _to_axis(self, value: float, log: bool) -> float | None:
        if not log:
            return value
        return math.log2(value) if value > 0 else None

    def _arrays(self, one: Series) -> tuple[np.ndarray, np.ndarray, Any, Any]:
        """x, y, band and spread in axis units; what a log axis cannot show is left out or a gap."""
        import numpy as np

        from kitui.raster import smoothed

        x = np.array(one.x, dtype=float)
        y = np.array(one.y, dtype=float)
        keep = x > 0 if self._log_x else np.ones(len(x), dtype=bool)
        pairs = [
            None if p is None else tuple(np.array(edge, dtype=float) for edge in p) for p in (one.band, one.spread)
        ]
        if self._log_x:
            x = np.log2(np.where(keep, x, 1.0))
        if self._smooth and one.line and not one.hollow and len(y) > _SMOOTHING:
            y = smoothed(y, _SMOOTHING)
        if self._log_y:
            y = _log2(y)
            pairs = [None if p is None else tuple(_log2(edge) for edge in p) for p in pairs]
        if not keep.all():
            x, y = x[keep], y[keep]
            pairs = [None if p is None else tuple(edge[keep] for edge in p) for p in pairs]
        return x, y, pairs[0], pairs[1]

    def _view(self) -> View:
        return self._zoom if self._zoom is not None else self._whole()

    def _whole(self) -> View:
        from kitui.raster import View

        x = self._axis_limits(self._limits[0], self._log_x, 0)
        y = self._axis_limits(self._limits[1], self._log_y, 1)
        room_x = 0.02 * (x[1] - x[0])
        return View(x[0] - room_x, x[1] + room_x, *y)

    def _axis_limits(self, limits: tuple[float, float] | None, log: bool, axis: int) -> tuple[float, float]:
        import numpy as np

        if limits is not None and (not log or limits[0] > 0):
            low, high = (self._to_axis(v, log) for v in limits)
        else:
            arrays = [self._arrays(one)[axis] for one in self._series]
            values = np.concatenate(arrays) if arrays else np.array([0.0, 1.0])
            values = values[np.isfinite(values)]
            low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
            if axis == 1:
                room = 0.05 * (high - low)
                low, high = low - room, high + room
        assert low is not None
        assert high is not None
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def _cursor_column(self, width: int) -> int:
        if self._cursor_x is None:
            return -1
        view = self._view()
        return round((self._cursor_x - view.x_low) / (view.x_high - view.x_low) * (width - 1))

    # Keys and mouse

    def action_zoom(self, factor: float) -> None:
        """Narrow the view by `factor` around the value cursor, or the middle."""
        view, whole = self._view(), self._whole()
        share = (view.x_high - view.x_low) / (whole.x_high - whole.x_low)
        if not _SMALLEST_SHARE < share / factor < _LARGEST_SHARE:
            return
        centre = self._cursor_x if self._cursor_x is not None else (view.x_low + view.x_high) / 2
        middle = (view.y_low + view.y_high) / 2
        half_y = (view.y_high - view.y_low) / 2 / factor
        from kitui.raster import View

        self._zoom = View(
            centre - (centre - view.x_low) / factor, centre + (view.x_high - centre) / factor,
            middle - half_y, middle + half_y,
        )  # fmt: skip
        self._redraw()

    def action_pan(self, right: int, up: int) -> None:
        """Move the view by eighths; with the value cursor, left and right move that from point to point."""
        if self._cursor_x is not None and right:
            self._step_cursor(right)
            return
        from kitui.raster import View

        view = self._view()
        dx, dy = right * (view.x_high - view.x_low) / 8, up * (view.y_high - view.y_low) / 8
        self._zoom = View(view.x_low + dx, view.x_high + dx, view.y_low + dy, view.y_high + dy)
        self._redraw()

    def action_reset_view(self) -> None:
        self._zoom, self._cursor_x = None, None
        self._redraw()

    def action_toggle_value_cursor(self) -> None:
        if self._cursor_x is None and self._series:
            view = self._view()
            self._cursor_x = (view.x_low + view.x_high) / 2
            self._step_cursor(0)
        else:
            self._cursor_x = None
            self._redraw()

    def _step_cursor(self, by: int) -> None:
        """To the next place where some curve has a point."""
        import numpy as np

        arrays = [self._arrays(one)[0] for one in self._series]
        places = np.unique(np.round(np.concatenate(arrays), 9)) if arrays else np.array([])
        if len(places) and self._cursor_x is not None:
            at = int(np.argmin(np.abs(places - self._cursor_x)))
            self._cursor_x = float(places[max(0, min(at + by, len(places) - 1))])
        self._redraw()

    def action_toggle_log(self, axis: str) -> None:
        if axis == "x":
            self._log_x = not self._log_x
        else:
            self._log_y = not self._log_y
        self.action_reset_view()

    def action_toggle_smoothing(self) -> None:
        self._smooth = not self._smooth
        self._redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_zoom(1.25)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_zoom(0.8)

    def on_click(self, event: events.Click) -> None:
        """Put the value cursor where the mouse points."""
        width = self.size.width - _LEFT - 1
        if self._series and 0 <= event.x - _LEFT < width:
            view = self._view()
            self._cursor_x = view.x_low + (event.x - _LEFT) / max(1, width - 1) * (view.x_high - view.x_low)
            self._step_cursor(0)


def _log2(values: np.ndarray) -> np.ndarray:
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log2(values), np.nan)


def _marker(one: Series) -> str:
    if not one.points:
        return "━"
    return "○" if one.hollow else MARKERS[one.colour % len(MARKERS)]
