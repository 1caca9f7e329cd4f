"""Curves on the screen: keys and mouse zoom, pan, read values, switch axes. Only lines that changed are sent.

Series keep their colour and their marker, so that neither has to tell them apart alone. Nothing is smoothed unless
asked for, and the border says so then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.color import Color
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from kitui.services.palette import ANSI, ON_DARK, ON_LIGHT
from kitui.tui.bindings import bindings
from kitui.tui.plot.axes import LEFT
from kitui.tui.plot.draw import MIN_HEIGHT, MIN_WIDTH, draw, gutter_of, state_words
from kitui.tui.plot.figure import Content as FigureContent
from kitui.tui.plot.figure import Figure, Limits, Mark, Series

_OPACITY_OF_BANDS, _OPACITY_OF_WINDOW = 0.28, 0.08


class CurvePlot(Widget, can_focus=True):
    """A pane with a plot of series and their legend. What the user has zoomed to stays until another thing is shown."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"plot--axis", "plot--cursor"}
    DEFAULT_CSS = """
    CurvePlot { height: 1fr; }
    CurvePlot > .plot--axis { color: $foreground-muted; }
    CurvePlot > .plot--cursor { color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("plot")

    def __init__(self, title: str, *, log_x: bool = False, log_y: bool = False, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self.figure = Figure(FigureContent(title=title), log_x=log_x, log_y=log_y)
        self._subject: object = None
        self._lines: list[Strip] = []
        self._styles: dict[str, Style] = {}
        self._words = ("", "")

    # What is shown

    def show(
        self,
        series: Sequence[Series],
        *,
        title: str,
        view: object,
        marks: Sequence[Mark] = (),
        x_name: str = "",
        window: Limits = None,
        x_limits: Limits = None,
        y_limits: Limits = None,
        empty: str = "no data yet",
    ) -> None:
        """Draw these curves. `view` names what is looked at: another name undoes the zoom. Limits are in values."""
        content = FigureContent(tuple(series), tuple(marks), title, x_name, window, x_limits, y_limits, empty)
        if (content, view) == (self.figure.content, self._subject):
            return
        if view != self._subject:
            self.figure.zoom, self.figure.cursor_x = None, None
            self.figure.hidden, self.figure.chosen = set(), ""
        self.figure.content, self._subject = content, view
        self._redraw()

    def _redraw(self) -> None:
        """Draw, and send the lines that are not as they were."""
        width, height = self.size
        if not self.is_mounted or width < MIN_WIDTH or height < MIN_HEIGHT:
            self._lines = []
            return
        self._styles = self._styles or self._read_styles()
        self._show_words()
        before, self._lines = self._lines, draw(self.figure, width, height, self._styles)
        if len(before) != len(self._lines):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh(Region(0, y, width, 1))

    def _show_words(self) -> None:
        """The title in the upper border; in the lower one, what was done to the view and the name of the x axis."""
        title = self.figure.content.title
        words = "  ".join(part for part in (state_words(self.figure), self.figure.content.x_name) if part)
        if (title, words) != self._words:
            self._words = (title, words)
            self.border_title, self.border_subtitle = Content(title), Content(words)

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
        has_few = self.app.native_ansi_color or self.app.ansi_color
        names = ANSI if has_few else ON_DARK if self.app.current_theme.dark else ON_LIGHT
        styles = {part: plain + self.get_component_rich_style(f"plot--{part}") for part in ("axis", "cursor")}
        styles |= {str(i): plain + Style(color=name) for i, name in enumerate(names)}
        if not has_few:
            ground = Color.from_rich_color(plain.bgcolor) if plain.bgcolor else self.background_colors[1]
            for i, name in enumerate(names):
                blended = ground.blend(Color.parse(name), _OPACITY_OF_BANDS)
                styles[f"fill{i}"] = Style(bgcolor=blended.rich_color)
            letters = Color.from_rich_color(plain.color) if plain.color else self.colors[-1]
            styles["window"] = Style(bgcolor=ground.blend(letters, _OPACITY_OF_WINDOW).rich_color)
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

    def action_choose_entry(self, by: int) -> None:
        self.figure.choose(by)
        self._redraw()

    def action_switch_entry(self) -> None:
        self.figure.switch()
        self._redraw()

    def action_isolate_entry(self) -> None:
        self.figure.isolate()
        self._redraw()

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
        left = LEFT + gutter_of(self.figure, self.size.width)
        width = self.size.width - left - 1
        if 0 <= event.x - left < width:
            view = self.figure.view
            self.figure.put_cursor(view.x_low + (event.x - left) / max(1, width - 1) * (view.x_high - view.x_low))
            self._redraw()
