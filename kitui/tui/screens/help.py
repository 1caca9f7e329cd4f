"""The help screen: what the keys do on the screen it was opened from, and elsewhere, made from the list of actions; and
what the words mean."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from kitui.services.actions import ACTIONS, EVERYWHERE, PLACES, key_name
from kitui.services.glossary import words_document
from kitui.tui.application import application
from kitui.tui.bindings import bindings, key_words
from kitui.tui.screens.over import OverScreen


class Help(OverScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = bindings("help")
    DEFAULT_CSS = """
    Help { align: center middle; }
    Help VerticalScroll { width: 78; max-width: 100%; height: auto; max-height: 100%; border: round $primary;
                          padding: 0 1; background: $surface; }
    """

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self._from = screen
        self._shows_words = False

    def compose(self) -> ComposeResult:
        with VerticalScroll() as scroll:
            scroll.border_subtitle = key_words("help", application(self).keymap)
            yield Static(id="help-part")

    def on_mount(self) -> None:
        self._show()

    def action_next_part(self) -> None:
        self._shows_words = not self._shows_words
        self._show()

    def _show(self) -> None:
        scroll = self.query_one(VerticalScroll)
        scroll.border_title = "What the words mean" if self._shows_words else "What the keys do"
        self.query_one("#help-part", Static).update(self._words() if self._shows_words else self._keys())
        scroll.scroll_home(animate=False)

    def _words(self) -> Table:
        table = _table(22)
        for row in words_document().words:
            table.add_row(row.word, row.meaning)
        return table

    def _keys(self) -> Group:
        name = getattr(self._from, "NAME", "log")
        widgets = {type(w).__name__ for w in self._from.walk_children()}
        within = [
            p
            for p, widget in (("table", "LineTable"), ("plot", "CurvePlot"), ("map", "MapView"))
            if _has(widgets, widget)
        ]
        places = [name, *within, EVERYWHERE] if name in PLACES else [EVERYWHERE]
        keymap = application(self).keymap
        parts: list[RenderableType] = []
        for where in places:
            table = _table(13)
            for action in ACTIONS:
                if action.where == where:
                    table.add_row(key_name(keymap.get(action.id, action.key)), action.help)
            parts += [Text(PLACES[where], style="bold underline"), table, ""]
        return Group(*parts, "kitui keys lists all of them, and how to change them.")


def _table(width: int) -> Table:
    """Two columns: the first one so wide."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", width=width)
    table.add_column()
    return table


def _has(names: set[str], widget: str) -> bool:
    return widget in names or (widget == "LineTable" and "RunTable" in names)
