"""Fields that belong together, under a title that opens and closes them; closed, it says what of them is not as by
default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from kitui.services.draft import Draft, Field, FieldGroup, default_text
from kitui.services.text import printable
from kitui.tui.bindings import bindings
from kitui.tui.designer.field_row import FieldInput, FieldRow


class GroupTitle(Static, can_focus=True):
    """The line with the name of a group."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("group")

    def __init__(self, group: Group) -> None:
        super().__init__("", markup=False)
        self.group = group

    def on_click(self) -> None:
        self.action_open_group()

    def action_open_group(self) -> None:
        self.group.open(not self.group.is_open)
        if self.group.is_open:
            self.group.query(FieldInput).first().focus()


class Group(Vertical):
    """A title and its fields."""

    def __init__(self, about: FieldGroup, fields: Sequence[Field], folder: Callable[[], Path]) -> None:
        """`folder`: what paths in the fields are relative to."""
        super().__init__(classes="field-group")
        self.about, self._fields, self._folder = about, fields, folder
        self.is_open = about.is_basic
        self._summary = ""
        self._num_faults = 0

    def compose(self) -> ComposeResult:
        yield GroupTitle(self)
        with Vertical(classes="group-fields"):
            for field in self._fields:
                yield FieldRow(field, self._folder)

    def on_mount(self) -> None:
        self.open(self.is_open)

    def has(self, box: Widget | None) -> bool:
        """Whether it is one of its fields."""
        return any(own is box for own in self.query(FieldInput))

    def open(self, is_open: bool) -> None:
        self.is_open = is_open
        self.query_one(".group-fields").display = is_open
        self._draw()

    def summarise(self, draft: Draft, num_faults: int) -> None:
        """Say what of it differs from the defaults, and how many of its fields are at fault."""
        set_here = [(f.label, draft.text_of(f.key)) for f in self._fields]
        words = ", ".join(
            f"{label} {printable(text)}"
            for (label, text), field in zip(set_here, self._fields, strict=True)
            if text and text != default_text(field.key)
        )
        if (words, num_faults) != (self._summary, self._num_faults):
            self._summary, self._num_faults = words, num_faults
            self._draw()

    def _draw(self) -> None:
        text = Text(
            f"{'▾' if self.is_open else '▸'} {self.about.title}", style="bold", no_wrap=True, overflow="ellipsis"
        )
        if self._num_faults and not self.is_open:
            text.append(f"  ! {self._num_faults}", style="bold")
        if not self.is_open:
            text.append(f"  {self._summary or 'as by default'}", style="not bold dim")
        self.query_one(GroupTitle).update(text)
