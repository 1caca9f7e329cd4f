"""The map of a study on the screen: a cell a size and frequency, which a cursor reads."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import BindingType
from textual.color import Color
from textual.message import Message
from textual.widgets import Static

from kitui.services.format import retention
from kitui.services.study_map import MapCell, MapRow, StudyMap, cell_words, longest, tail_words
from kitui.tui.bindings import bindings

_LEVELS = "▁▂▃▄▅▆▇█"
_WIDE, _NARROW = 6, 2
"""Columns of a cell: with its number, without; one more parts it from the next."""
_OTHER_LINES = 3  # what is read, the heads, the signs
_KEY = ("┃ F*", "┊ its 95 %", "▷ acquired", "★ use up to here", "▐ ceiling", "░ not trained", "▹ in training")


class MapView(Static, can_focus=True):
    """Retention by size and frequency; F*, its interval and the acquisition frequency stand in the gaps between
    frequencies, where they lie."""

    DEFAULT_CSS = "MapView { height: 1fr; padding: 0 1; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings("map")

    class Opened(Message):
        """A cell was chosen: its runs are to be shown."""

        def __init__(self, expression: str) -> None:
            """`expression`: the filter that picks them."""
            super().__init__()
            self.expression = expression

    def __init__(self, id: str | None = None) -> None:
        super().__init__("", id=id, classes="pane", markup=False)
        self.map = StudyMap((), ())
        self.row, self.column = 0, 0
        self._empty = ""

    def show(self, found: StudyMap, *, title: str, empty: str) -> None:
        if self.border_title != title:
            self.border_title = title
        if (found, empty) != (self.map, self._empty):
            self.map, self._empty = found, empty
            self._keep()
            self.draw()

    def _keep(self) -> None:
        self.row = max(0, min(self.row, len(self.map.rows) - 1))
        self.column = max(0, min(self.column, len(self.map.frequencies) - 1))

    def draw(self) -> None:
        self.update(self._text() if self.map.rows else Text(self._empty))
        words = "enter: its runs" if self.map.rows else ""
        if self.border_subtitle != words:
            self.border_subtitle = words

    def on_resize(self) -> None:
        self.draw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.is_mounted and self.map.rows:
            self.draw()

    def _text(self) -> Text:
        rows, frequencies = self.map.rows, self.map.frequencies
        label, tail = longest([row.label for row in rows]), longest([tail_words(row) for row in rows])
        room = max(1, self.size.width - label - 2)
        width = _WIDE if (_WIDE + 1) * len(frequencies) <= room else _NARROW
        columns = _part(len(frequencies), room // (width + 1), self.column)
        has_tail = (width + 1) * len(frequencies) + 2 + tail <= room
        text = Text(no_wrap=True)
        text.append(f"{cell_words(rows[self.row], frequencies[self.column])}\n", style="bold")
        text.append("F".rjust(label) + "  " + " ".join(_head(frequencies[x], width) for x in columns), style="bold")
        for y in _part(len(rows), self.size.height - _OTHER_LINES, self.row):
            text.append(f"\n{rows[y].label:>{label}} ")
            self._add_row(text, y, rows[y], width, columns)
            if has_tail:
                text.append(f"  {tail_words(rows[y])}")
        text.append("\n", style="dim")
        for words in _KEY:
            if text.cell_len and len(text.plain.rpartition("\n")[2]) + len(words) <= self.size.width:
                text.append(f"{words}  ", style="dim")
        return text

    def _add_row(self, text: Text, y: int, row: MapRow, width: int, columns: range) -> None:
        signs = self._signs(row)
        text.append(*signs.get(columns.start - 1, (" ", "")))
        for x in columns:
            is_here = (y, x) == (self.row, self.column)
            words, style = self._cell(row, row.cells.get(self.map.frequencies[x]), width)
            text.append(words, style=style + Style(reverse=True, bold=True) if is_here else style)
            text.append(*signs.get(x, (" ", "")))

    def _signs(self, row: MapRow) -> dict[int, tuple[str, str]]:
        """What stands in the gaps, by the column before it; the weightiest is put there last."""
        found: dict[int, tuple[str, str]] = {}
        recommended = row.target.recommended_frequency if row.target is not None else None
        low, high = row.interval
        for place, sign in ((row.ceiling, "▐"), (low, "┊"), (high, "┊"), (row.acquired, "▷"), (row.collapse, "┃"),
                            (recommended, "★")):  # fmt: skip
            gap = self.map.gap(place)
            if gap is not None:
                found[gap] = (sign, "bold")
        return found

    def _cell(self, row: MapRow, cell: MapCell | None, width: int) -> tuple[str, Style]:
        if cell is None:
            return ("·" if row.target is not None else " ").center(width), Style(dim=True)
        if cell.mean is None:
            return ("▹" if cell.is_running else "░" * (width - 1)).center(width), Style(dim=True)
        level = _LEVELS[round(max(0.0, min(cell.mean, 1.0)) * (len(_LEVELS) - 1))]
        number = f"{retention(cell.mean)}{'*' if cell.missing else ''}" if width == _WIDE else ""
        return f"{level}{number:>4}".ljust(width) if number else level.ljust(width), self._shade(cell.mean)

    def _shade(self, value: float) -> Style:
        """The stronger, the more of the theme's own colour lies behind it. A terminal's own colours cannot be mixed:
        there the bar and the number say it."""
        if self.app.native_ansi_color or self.app.ansi_color:
            return Style()
        ground, colour = (Color.parse(self.app.theme_variables[name]) for name in ("background", "primary"))
        fill = ground.blend(colour, 0.05 + 0.75 * max(0.0, min(value, 1.0)))
        return Style(color=fill.get_contrast_text(1.0).rich_color, bgcolor=fill.rich_color)

    def action_go(self, down: int, right: int) -> None:
        self.row, self.column = self.row + down, self.column + right
        self._keep()
        self.draw()

    def action_open_cell(self) -> None:
        row = self.map.rows[self.row] if self.map.rows else None
        frequency = self.map.frequencies[self.column] if row is not None else 0
        if row is not None and frequency in row.cells:
            self.post_message(self.Opened(row.expression(frequency)))

    def action_leave(self) -> None:
        self.screen.query_one(str(self.screen.AUTO_FOCUS)).focus()


def _part(number: int, room: int, around: int) -> range:
    """As many of so many as have room, with this one among them."""
    room = max(1, min(room, number))
    start = max(0, min(around - room // 2, number - room))
    return range(start, start + room)


def _head(frequency: float, width: int) -> str:
    words = f"{frequency:g}"
    return words.ljust(width) if len(words) <= width else words[: width - 1] + "…"
