"""The line in which runs are filtered: it completes words, and says at once what it does not understand."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from kitui.services.runs import complete_filter
from kitui.tui.bindings import bindings
from kitui.tui.widgets.line_input import LineInput


class _Completion(Suggester):
    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return complete_filter(value)


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

    def __init__(self) -> None:
        super().__init__()
        self._counts = ""
        self._complaint = ""

    def compose(self) -> ComposeResult:
        yield LineInput(placeholder="params>1M and frequency>=64 and state=running", suggester=_Completion())
        yield Static("", markup=False)

    def open(self) -> None:
        self.add_class("-open")
        self.query_one(Input).focus()

    def clear(self) -> None:
        self.query_one(Input).value = ""
        self.remove_class("-open")

    def count(self, shown: int, total: int) -> None:
        self._counts = f"{shown:,} of {total:,} runs · → completes · enter: table · esc esc: all"
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
