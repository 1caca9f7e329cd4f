"""The help screen: what the keys do on the screen it was opened from, and elsewhere; made from the live bindings."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from kitui.services.actions import ACTIONS, EVERYWHERE, PLACES, key_name
from kitui.tui.screens.over import OverScreen


class Help(OverScreen[None]):
    BINDINGS: ClassVar = [Binding("escape,question_mark,f1,q", "dismiss", "Close")]
    DEFAULT_CSS = """
    Help { align: center middle; }
    Help VerticalScroll { width: 78; max-width: 100%; height: auto; max-height: 100%; border: round $primary;
                          padding: 0 1; background: $surface; }
    """

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self._from = screen

    def compose(self) -> ComposeResult:
        here = getattr(self._from, "NAME", "log")
        focused = {type(w).__name__ for w in self._from.walk_children()}
        within = [p for p, widget in (("table", "LineTable"), ("plot", "CurvePlot")) if _has(focused, widget)]
        places = [here, *within, EVERYWHERE] if here in PLACES else [EVERYWHERE]
        keymap = self.app._keymap
        table = Table.grid(padding=(0, 2))
        for where in places:
            table.add_row("", "")
            table.add_row(PLACES[where], "", style="bold")
            for action in ACTIONS:
                if action.where == where:
                    table.add_row(key_name(keymap.get(action.id, action.key)), action.help)
        with VerticalScroll():
            yield Static(table)
            yield Static("\nkitui keys lists all of them, and how to change them.", markup=False)


def _has(names: set[str], widget: str) -> bool:
    return widget in names or (widget == "LineTable" and "RunTable" in names)
