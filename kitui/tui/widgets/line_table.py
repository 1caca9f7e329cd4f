"""A table of any length: rows are formatted when they come into view, and only lines that changed are drawn again.

Textual's DataTable measures and keeps every cell; ten thousand rows take it seconds. Here a row costs nothing until it
is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from kitui.services.markdown import markdown_table
from kitui.tui.bindings import bindings

# A jump of a third of a page when the cursor runs over the edge: a held key then sends few full pages over the line.
_JUMP = 3


class Column(NamedTuple):
    key: str
    label: str
    width: int
    right: bool = False


class LineTable(Widget, can_focus=True):
    """Shows `rows` through `cells(row)`, one text a column. The cursor stays on its row, known by `key(row)`, wherever
    new rows put it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--header", "table--cursor", "table--pinned", "table--alert"}
    DEFAULT_CSS = """
    LineTable { height: 1fr; }
    LineTable > .table--header { text-style: bold; background: $panel; color: $foreground; }
    LineTable > .table--cursor { background: $block-cursor-blurred-background; text-style: bold; }
    LineTable:focus > .table--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    LineTable > .table--pinned { background: $boost; }
    LineTable > .table--alert { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("table")

    cursor: reactive[int] = reactive(0, repaint=False)

    class Moved(Message):
        """The cursor is on another row, or the row under it is another."""

    class Opened(Message):
        """The row under the cursor was chosen by a double click."""

    class HeaderClicked(Message):
        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(
        self,
        columns: Sequence[Column],
        cells: Callable[[Any], Sequence[str]],
        key: Callable[[Any], Hashable],
        *,
        look: Callable[[Any], str] = lambda _row: "",
        empty: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`look(row)` names a component class (`pinned`, `alert`) for a row's style, or none."""
        super().__init__(id=id, classes=classes)
        self.columns = tuple(columns)
        self.rows: Sequence[Any] = ()
        self.sorted_by: tuple[str, bool] | None = None  # column, descending
        self.empty = empty
        self._cells, self._key, self._look = cells, key, look
        self._top = 0
        self._drawn: dict[int, tuple[str, str]] = {}
        self._styles: dict[str, Style] = {}

    # What is shown

    def show(self, rows: Sequence[Any], *, columns: Sequence[Column] | None = None) -> None:
        """Show these rows; the cursor goes with its row, or stays at its place where that row is gone."""
        before = self.current
        if len(rows) != len(self.rows) and self.styles.auto_dimensions:
            self.refresh(layout=True)
        if columns is not None and tuple(columns) != self.columns:
            self.columns = tuple(columns)
            self._drawn.clear()
            self.refresh()
        self.rows = rows
        place = self._place_of(before) if before is not None else None
        self.set_reactive(LineTable.cursor, max(0, min(self.cursor if place is None else place, len(rows) - 1)))
        self._keep_in_view()
        self.redraw()
        after = self.current
        if (before is None) != (after is None) or (after is not None and self._key(after) != self._key(before)):
            self.post_message(self.Moved())

    def redraw(self) -> None:
        """Draw the lines again whose text or style is no longer what is on the screen."""
        for y in range(self.size.height):
            if self._drawn.get(y) != self._line(y):
                self.refresh(Region(0, y, self.size.width, 1))

    @property
    def current(self) -> Any | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    def go_to(self, key: Hashable) -> bool:
        """Put the cursor on the row of this key, if it is there."""
        place = next((i for i, row in enumerate(self.rows) if self._key(row) == key), None)
        if place is None:
            return False
        self.action_move_to(place)
        return True

    def _place_of(self, row: Any) -> int | None:
        key = self._key(row)
        if self.cursor < len(self.rows) and self._key(self.rows[self.cursor]) == key:
            return self.cursor
        return next((i for i, other in enumerate(self.rows) if self._key(other) == key), None)

    # Drawing

    def _line(self, y: int) -> tuple[str, str]:
        """The text of a line of the widget, and the component class it is drawn in."""
        width = self.size.width - 1
        if y == 0:
            return self._joined([self._label(c) for c in self.columns], width), "header"
        index = self._top + y - 1
        if index >= len(self.rows):
            text = self.empty if not self.rows and y == 2 else ""
            return text[:width].ljust(width), ""
        row = self.rows[index]
        return self._joined(self._cells(row), width), "cursor" if index == self.cursor else self._look(row)

    def _label(self, column: Column) -> str:
        if self.sorted_by is None or self.sorted_by[0] != column.key:
            return column.label
        sign = "▼" if self.sorted_by[1] else "▲"
        return f"{column.label[: column.width - 1]}{sign}"

    def _joined(self, texts: Sequence[str], width: int) -> str:
        parts = [
            text[: c.width].rjust(c.width) if c.right else text[: c.width].ljust(c.width)
            for c, text in zip(self.columns, texts, strict=True)
        ]
        return " ".join(parts)[:width].ljust(width)

    def render_line(self, y: int) -> Strip:
        line = self._line(y)
        self._drawn[y] = line
        text, look = line
        bar = Segment(self._bar(y), self._style(""))
        return Strip([Segment(text, self._style(look)), bar], self.size.width)

    def _style(self, look: str) -> Style:
        """Working out a style takes Textual longer than drawing a line with it."""
        if look not in self._styles:
            plain = self.rich_style
            self._styles[look] = plain + self.get_component_rich_style(f"table--{look}") if look else plain
        return self._styles[look]

    def _bar(self, y: int) -> str:
        """The scroll bar's part of a line: where in all rows this page lies."""
        page = self.page
        if y == 0 or len(self.rows) <= page:
            return " "
        height = max(1, round(page * page / len(self.rows)))
        start = round((page - height) * self._top / max(1, len(self.rows) - page))
        return "┃" if start <= y - 1 < start + height else " "

    @property
    def page(self) -> int:
        """Rows that fit below the header."""
        return max(1, self.size.height - 1)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return sum(c.width + 1 for c in self.columns)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 1 + len(self.rows)

    def on_resize(self) -> None:
        self._drawn.clear()
        self._keep_in_view()
        self.refresh()  # it may have been drawn in its new size before it was told of that

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._drawn.clear()
        self._styles.clear()

    def markdown(self) -> str:
        """All rows, in the columns that are shown."""
        shown = [i for i, column in enumerate(self.columns) if column.label.strip()]
        heads = [self.columns[i].label for i in shown]
        texts = [list(self._cells(row)) for row in self.rows]
        right = [self.columns[i].right for i in shown]
        return markdown_table(heads, [[text[i] for i in shown] for text in texts], right)

    # Moving

    def watch_cursor(self) -> None:
        if self.is_mounted:
            self._keep_in_view()
            self.redraw()
            self.post_message(self.Moved())

    def _keep_in_view(self) -> None:
        top, page = self._top, self.page
        if self.cursor < top:
            top = self.cursor if top - self.cursor > 1 else self.cursor - page // _JUMP
        elif self.cursor >= top + page:
            over = self.cursor - (top + page)
            top = self.cursor - page + 1 + (page // _JUMP if over < 1 else 0)
        self._top = max(0, min(top, len(self.rows) - page))

    def action_move(self, by: int) -> None:
        self.cursor = max(0, min(self.cursor + by, len(self.rows) - 1))

    def action_move_to(self, place: int) -> None:
        self.cursor = max(0, len(self.rows) - 1 if place < 0 else min(place, len(self.rows) - 1))

    def action_page(self, pages: int) -> None:
        self.action_move(pages * self.page)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_move(-3)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        if event.y == 0:
            column = self._column_at(event.x)
            if column is not None:
                self.post_message(self.HeaderClicked(column))
            return
        index = self._top + event.y - 1
        if index < len(self.rows):
            self.cursor = index
            if event.chain == 2:
                self.post_message(self.Opened())

    def _column_at(self, x: int) -> str | None:
        for column in self.columns:
            if x <= column.width:
                return column.key
            x -= column.width + 1
        return None
