"""The fields of the designer: a label, what is typed, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.geometry import Region
from textual.suggester import Suggester
from textual.widgets import Static

from engine.spec.models import PRESETS
from engine.spec.sweep_file import setting_choices
from kitui.services.draft import Field, default_text
from kitui.services.text import printable
from kitui.tui.designer.suggesters import PathSuggester, WordSuggester
from kitui.tui.widgets.line_input import LineInput


class FieldInput(LineInput):
    """Of one size, whatever is typed: Textual would lay out the whole screen at each key, and send half of it."""

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        return super().refresh(*regions, repaint=repaint, recompose=recompose)


class FieldRow(Vertical):
    """A field: its label, what is typed, and below it what is wrong with that."""

    def __init__(self, field: Field, folder: Callable[[], Path]) -> None:
        """`folder`: what paths in the field are relative to."""
        super().__init__(classes="field")
        self.field = field
        self._suggester = _suggester(field.key, folder)
        self._fault = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(self.field.label, classes="label", markup=False)
            default = default_text(self.field.key)
            hint = f"default {default}" if default else ""
            yield FieldInput(id=field_id(self.field.key), suggester=self._suggester, placeholder=hint)
        yield Static("", classes="fault", markup=False)

    def fault(self, words: str) -> None:
        if words == self._fault:  # else each key would have all fields laid out again
            return
        self._fault = words
        self.query_one(".fault", Static).update(f"! {printable(words)}" if words else "")
        self.set_class(bool(words), "-wrong")


class Fields(VerticalScroll, inherit_bindings=False):
    """The arrow keys go from field to field, and the view follows: they do not scroll it."""


def field_id(key: str) -> str:
    """The widget's id of a setting's field."""
    return key.replace(".", "-")


def _suggester(key: str, folder: Callable[[], Path]) -> Suggester | None:
    if key in ("facts.path", "facts.templates", "background.path"):
        return PathSuggester(folder)
    words = tuple(PRESETS) if key == "grid.model_size" else setting_choices(key)
    return WordSuggester(words) if words else None
