"""The help screen, made from the list of actions."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from kitui.actions import ACTIONS, EVERYWHERE

_TITLES = {EVERYWHERE: "Everywhere", "sweeps": "Sweeps", "monitor": "Monitor", "law": "Law"}
_IN_PLOTS = "In a plot (reach it with tab): + and − zoom, arrows pan, r resets; the mouse wheel zooms, dragging pans."


class Help(ModalScreen[None]):
    BINDINGS: ClassVar = [Binding("escape,question_mark,q", "dismiss", "Close")]
    DEFAULT_CSS = """
    Help { align: center middle; }
    Help VerticalScroll { width: 74; max-width: 96%; height: auto; max-height: 96%; border: round $primary;
                          padding: 0 2; background: $surface; }
    """

    def compose(self) -> ComposeResult:
        table = Table.grid(padding=(0, 2))
        for where, title in _TITLES.items():
            table.add_row("", "")
            table.add_row(title, "", style="bold")
            for action in ACTIONS:
                if action.where == where:
                    table.add_row(key_name(action.key), action.help)
        with VerticalScroll():
            yield Static(table)
            yield Static(f"\n{_IN_PLOTS}", markup=False)


def key_name(key: str) -> str:
    return {"question_mark": "?", "escape": "esc"}.get(key, key)
