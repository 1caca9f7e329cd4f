"""Curves on the screen: keys and mouse zoom, pan, read values, switch axes. Only lines that changed are sent.

Series keep their colour and their marker, so that neither has to tell them apart alone. Nothing is smoothed unless
asked for, and the title says so then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from kitui.tui.bindings import bindings
from kitui.tui.plot.draw import LEFT, MIN_HEIGHT, MIN_WIDTH, draw
from kitui.tui.plot.figure import Content, Figure, Limits, Series, VerticalMark

COLOURS = ("#3b8ee0", "#e0843b", "#3fa65a", "#c4499a", "#8a6fd1", "#b0902a", "#2fa5a5", "#d0504f")
_ANSI_COLOURS = ("blue", "yellow", "green", "magenta", "cyan", "red", "bright_blue", "bright_magenta")


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
        self.figure = Figure(Content(title=title), log_x=log_x, log_y=log_y)
        self._subject: object = None
        self._lines: list[Strip] = []
        self._styles: dict[str, Style] = {}

    # What is shown

    def show(
        self,
        series: Sequence[Series],
        *,
        title: str,
        view: object,
        marks: Sequence[VerticalMark] = (),
        x_limits: Limits = None,
        y_limits: Limits = None,
        empty: str = "no data yet",
    ) -> None:
        """Draw these curves. `view` names what is looked at: another name undoes the zoom. Limits are in values."""
        content = Content(tuple(series), tuple(marks), title, x_limits, y_limits, empty)
        if (content, view) == (self.figure.content, self._subject):
            return
        if view != self._subject:
            self.figure.zoom, self.figure.cursor_x = None, None
        self.figure.content, self._subject = content, view
        self._redraw()

    def _redraw(self) -> None:
        """Draw, and send the lines that are not as they were."""
        width, height = self.size
        if not self.is_mounted or width < MIN_WIDTH or height < MIN_HEIGHT:
            self._lines = []
            return
        self._styles = self._styles or self._read_styles()
        before, self._lines = self._lines, draw(self.figure, width, height, self._styles)
        if len(before) != len(self._lines):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh(Region(0, y, width, 1))

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

    def on_mount(self) -> None:
        # A new theme's styles are worked out after this is told of it.
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.call_after_refresh(self.notify_style_update))

    def _read_styles(self) -> dict[str, Style]:
        """Working out a style takes Textual longer than drawing a curve with it: once for all."""
        plain = self.rich_style
        names = _ANSI_COLOURS if self.app.native_ansi_color or self.app.ansi_color else COLOURS
        styles = {part: plain + self.get_component_rich_style(f"plot--{part}") for part in ("axis", "title", "cursor")}
        styles |= {str(i): plain + Style(color=name) for i, name in enumerate(names)}
        return styles | {"": plain}

    def render_line(self, y: int) -> Strip:
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, self.rich_style)

    # Keys and mouse

    def action_zoom(self, factor: float) -> None:
        self.figure.zoom_by(factor)
        self._redraw()

    def action_pan(self, right: int, up: int) -> None:
        """Move the view by eighths; with the value cursor, left and right move that from point to point."""
        if self.figure.cursor_x is not None and right:
            self.figure.put_cursor(self.figure.cursor_x, by=right)
        else:
            self.figure.pan_by(right / 8, up / 8)
        self._redraw()

    def action_reset_view(self) -> None:
        self.figure.zoom, self.figure.cursor_x = None, None
        self._redraw()

    def action_toggle_value_cursor(self) -> None:
        if self.figure.cursor_x is None:
            view = self.figure.view
            self.figure.put_cursor((view.x_low + view.x_high) / 2)
        else:
            self.figure.cursor_x = None
        self._redraw()

    def action_leave(self) -> None:
        """Leave the value cursor; without one, the plot, for where the screen begins."""
        if self.figure.cursor_x is None:
            self.screen.query_one(str(self.screen.AUTO_FOCUS)).focus()
        else:
            self.action_toggle_value_cursor()

    def action_toggle_log(self, axis: str) -> None:
        if axis == "x":
            self.figure.log_x = not self.figure.log_x
        else:
            self.figure.log_y = not self.figure.log_y
        self.action_reset_view()

    def action_toggle_smoothing(self) -> None:
        self.figure.smooth = not self.figure.smooth
        self._redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_zoom(1.25)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_zoom(0.8)

    def on_click(self, event: events.Click) -> None:
        """Put the value cursor where the mouse points."""
        width = self.size.width - LEFT - 1
        if 0 <= event.x - LEFT < width:
            view = self.figure.view
            self.figure.put_cursor(view.x_low + (event.x - LEFT) / max(1, width - 1) * (view.x_high - view.x_low))
            self._redraw()
