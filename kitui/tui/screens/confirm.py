"""Questions over the screen: before something that cannot be taken back at once, and for a line of text."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from kitui.tui.application import application
from kitui.tui.bindings import bindings, key_words
from kitui.tui.screens.over import OverScreen
from kitui.tui.widgets.line_input import LineInput

_LATE_S = 1.0


class Confirm(OverScreen[bool]):
    """Ends with True for yes, False for no."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("confirm")
    DEFAULT_CSS = """
    Confirm, Ask { align: center middle; }
    Confirm Vertical, Ask Vertical { width: 64; max-width: 90%; height: auto; border: round $primary; padding: 1 2;
                                     background: $surface; }
    """

    def __init__(self, question: str, *, is_late: bool = False) -> None:
        """`is_late`: it comes some time after it was asked for; an enter may still be meant for what was there."""
        super().__init__()
        self._question, self._deaf_s = question, _LATE_S if is_late else 0.0
        self._since_s = 0.0

    def on_mount(self) -> None:
        self._since_s = time.monotonic()

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, markup=False)
            yield Static("\n" + key_words("confirm", application(self).keymap), markup=False)

    def action_accept(self) -> None:
        if time.monotonic() - self._since_s >= self._deaf_s:
            self.dismiss(True)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class Ask(OverScreen[str]):
    """Ends with what was typed, or with nothing after escape."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("ask")
    DEFAULT_CSS = Confirm.DEFAULT_CSS

    def __init__(self, question: str, text: str) -> None:
        super().__init__()
        self._question, self._text = question, text

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, markup=False)
            yield LineInput(self._text)
            yield Static("\n" + key_words("ask", application(self).keymap), markup=False)

    @on(Input.Submitted)
    def action_take(self) -> None:
        self.dismiss(self.query_one(Input).value.strip())

    def action_leave(self) -> None:
        self.dismiss(None)
