"""The screens of the app by the names of their modes, and its own theme. Screens that are not the first one seen are
imported when they are gone to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.screen import Screen
from textual.theme import Theme

from kitui.tui.screens.sweeps import SweepsScreen

HIGH_CONTRAST = Theme(
    name="high-contrast", primary="#ffff00", secondary="#00ffff", accent="#ffff00", foreground="#ffffff",
    background="#000000", surface="#000000", panel="#000000", boost="#303030", error="#ff6060", warning="#ffff00",
    success="#00ff00", dark=True,
    variables={"block-cursor-background": "#ffffff", "block-cursor-foreground": "#000000"},
)  # fmt: skip


def _designer() -> Screen[None]:
    from kitui.tui.designer.screen import DesignerScreen

    return DesignerScreen()


def _monitor() -> Screen[None]:
    from kitui.tui.screens.monitor import MonitorScreen

    return MonitorScreen()


def _law() -> Screen[None]:
    from kitui.tui.screens.law import LawScreen

    return LawScreen()


def _hosts() -> Screen[None]:
    from kitui.tui.screens.hosts import HostsScreen

    return HostsScreen()


MODES: dict[str, str | Callable[[], Screen[Any]]] = {
    "sweeps": SweepsScreen, "designer": _designer, "monitor": _monitor, "law": _law, "hosts": _hosts,
}  # fmt: skip
