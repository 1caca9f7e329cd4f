"""A screen that is closed twice takes away the one below it.

Of two keys that close a screen, typed before it is gone, the second would dismiss what lies below. Seen with Textual
8.2.8; upstream: issue 2575 (closed; an error then, which is no longer raised) and issue 4884 (open).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.await_complete import AwaitComplete
from textual.screen import Screen

if TYPE_CHECKING:
    _Base = Screen[Any]
else:
    _Base = object


class DismissedOnce(_Base):
    def dismiss(self, result: Any = None) -> AwaitComplete:
        return super().dismiss(result) if self.app.screen is self else AwaitComplete.nothing()
