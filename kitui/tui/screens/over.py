"""Screens that lie over another one for a while."""

from __future__ import annotations

from textual.screen import ModalScreen, ScreenResultType

from kitui.tui.textual_fixes.dismissed_once import DismissedOnce


class OverScreen(DismissedOnce, ModalScreen[ScreenResultType]):
    """A question, a page or the like, over a screen that can be seen behind it."""
