"""Screens that lie over another one for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen, ScreenResultType

if TYPE_CHECKING:
    _Base = Screen[Any]
else:
    _Base = object


class DismissedOnce(_Base):
    """Of two keys that close it, typed before it is gone, the second does nothing.

    Textual's `dismiss` would take away the screen below it.
    """

    def dismiss(self, result: Any = None) -> AwaitComplete:
        return super().dismiss(result) if self.app.screen is self else AwaitComplete.nothing()


class OverScreen(DismissedOnce, ModalScreen[ScreenResultType]):
    """A question, a page or the like, over a screen that can be seen behind it."""
