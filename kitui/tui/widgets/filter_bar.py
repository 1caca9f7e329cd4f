"""The line in which a table is filtered: it completes words, and says at once what it does not understand."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from kitui.tui.bindings import bindings
from kitui.tui.widgets.line_input import LineInput


class _Completion(Suggester):
    def __init__(self, complete: Callable[[str], str | None]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        return self._complete(value)


class FilterBar(Vertical):
    """Hidden until it is opened, and while it holds nothing."""

    DEFAULT_CSS = """
    FilterBar { height: auto; display: none; }
    FilterBar.-open { display: block; }
    FilterBar Static { height: auto; max-height: 4; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("filter")

    class Changed(Message):
        def __init__(self, expression: str) -> None:
            super().__init__()
            self.expression = expression

    class Left(Message):
        """The keys belong to the table again."""

    def __init__(self, of: str, example: str, complete: Callable[[str], str | None] | None = None) -> None:
        """`of`: what is filtered, in the plural; `complete`: what is typed with its last word completed, or None."""
        super().__init__()
        self._of, self._example, self._complete = of, example, complete
        self._counts = ""
        self._complaint = ""

    def compose(self) -> ComposeResult:
        yield LineInput(placeholder=self._example, suggester=_Completion(self._complete) if self._complete else None)
        yield Static("", markup=False)

    def open(self) -> None:
        self.add_class("-open")
        self.query_one(Input).focus()

    def put(self, expression: str) -> None:
        self.add_class("-open")
        self.query_one(Input).value = expression

    def clear(self) -> None:
        self.query_one(Input).value = ""
        self.remove_class("-open")

    def count(self, shown: int, total: int) -> None:
        completes = "→ completes · " if self._complete else ""
        self._counts = f"{shown:,} of {total:,} {self._of} · {completes}enter: table · esc esc: all"
        self._say()

    def complain(self, words: str) -> None:
        self._complaint = words
        self._say()

    def _say(self) -> None:
        if self.is_mounted and self.has_class("-open"):
            self.query_one(Static).update(f"! {self._complaint}" if self._complaint else self._counts)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.value.strip()))

    def action_leave(self) -> None:
        if not self.query_one(Input).value.strip():
            self.remove_class("-open")
        self.post_message(self.Left())

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if not self._complaint:  # what is typed to mend it is not to be taken for commands
            self.action_leave()
