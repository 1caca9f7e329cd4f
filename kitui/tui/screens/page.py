"""A page of text or tables over the screen, closed by escape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from kitui.services.text import printable
from kitui.tui.application import application
from kitui.tui.bindings import bindings, key_words
from kitui.tui.screens.over import OverScreen


class Page(OverScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = bindings("page")
    DEFAULT_CSS = """
    Page { align: center middle; }
    Page VerticalScroll { width: 96%; height: auto; max-height: 96%; border: round $primary; padding: 0 1;
                          background: $surface; }
    """

    def __init__(self, title: str, parts: Sequence[Any]) -> None:
        super().__init__()
        self._title, self._parts = title, parts

    def compose(self) -> ComposeResult:
        with VerticalScroll() as scroll:
            scroll.border_title = Content(printable(self._title))
            scroll.border_subtitle = key_words("page", application(self).keymap)
            for part in self._parts:
                yield Static(part, markup=False)
                yield Static("")
