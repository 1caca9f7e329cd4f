"""The registry's actions as Textual's bindings."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from kitui.services.actions import ACTIONS


def bindings(where: str) -> list[BindingType]:
    """The Textual bindings of a screen, of a widget, or of the app itself."""
    return [
        Binding(a.key, a.name, a.label, tooltip=a.help, show=a.show, id=a.id, priority=a.key.startswith("ctrl+"))
        for a in ACTIONS
        if a.where == where
    ]
