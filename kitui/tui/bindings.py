"""The registry's actions as Textual's bindings, and as the words that name them."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding, BindingType

from kitui.services.actions import ACTIONS, key_name


def bindings(where: str) -> list[BindingType]:
    """The Textual bindings of a screen, of a widget, or of the app itself."""
    return [
        Binding(a.key, a.name, a.label, tooltip=a.help, show=a.show, id=a.id, priority=a.key.startswith("ctrl+"))
        for a in ACTIONS
        if a.where == where
    ]


def key_words(where: str, keymap: Mapping[str, str], without: str = "") -> str:
    """A line that names the first key of each action of a question: `y yes   n no`; one action may be left out."""
    return "   ".join(
        f"{key_name(keymap.get(a.id, a.key).split(',')[0])} {a.label.lower()}"
        for a in ACTIONS
        if a.where == where and a.name != without and (a.show or where not in ("confirm",))
    )
