"""Questions over the screen: before something that cannot be taken back at once, and for a line of text."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from kitui.tui.screens.over import OverScreen
from kitui.tui.widgets.line_input import LineInput


class Confirm(OverScreen[bool]):
    """Ends with True for y, False for n or escape."""

    BINDINGS: ClassVar = [Binding("y", "answer(True)", "Yes"), Binding("n,escape", "answer(False)", "No")]
    DEFAULT_CSS = """
    Confirm, Ask { align: center middle; }
    Confirm Vertical, Ask Vertical { width: 64; max-width: 90%; height: auto; border: round $primary; padding: 1 2;
                                     background: $surface; }
    """

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, markup=False)
            yield Static("\ny  yes      n  no", markup=False)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class Ask(OverScreen[str]):
    """Ends with what was typed, or with nothing after escape."""

    BINDINGS: ClassVar = [Binding("escape", "leave", "Leave")]
    DEFAULT_CSS = Confirm.DEFAULT_CSS

    def __init__(self, question: str, text: str) -> None:
        super().__init__()
        self._question, self._text = question, text

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, markup=False)
            yield LineInput(self._text)
            yield Static("\nenter  yes      esc  no", markup=False)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss(None)
