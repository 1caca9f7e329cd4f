"""Keys that come together are taken out of turn; here the next one waits until what the last one did is done.

Textual hands a key to the widget with the focus and looks at the next key at once, while the first is still on its
way up to the screen's and the app's bindings. Of keys that come together (typed ahead over a slow line, say) some
would land in the field that the one before them was leaving, or be taken for commands. Seen with Textual 8.2.8;
upstream: issue 1199 (closed) for one such key; no open report found (searched on 2026-11-26).
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

if TYPE_CHECKING:
    _App = App[None]
else:
    _App = App

_LONGEST_S = 0.5
"""A widget that goes away with a key in hand never answers: after so long the next key has its turn all the same."""


class KeysInTurn(_App):
    def __init__(self) -> None:
        super().__init__()
        self._ahead: deque[events.Event] = deque()
        self._turn, self._busy = 0, False

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded:
            await super().on_event(event)
        elif not self._busy:
            await self._take(event)
        else:
            self._ahead.append(event)
            self.set_timer(_LONGEST_S, partial(self._done, self._turn))

    async def _take(self, event: events.Event) -> None:
        """Hand on a key, with a message behind it that goes the same way."""
        self._turn += 1
        self._busy = True
        target = self.focused or self.screen
        await super().on_event(event)
        # Up to the app, which looks for bindings; the app again, for the focus that one of them moves; then the screen
        # that it may have opened, and the focus there.
        way: list[MessagePump | None] = [*target.ancestors_with_self, self, self, None, self]
        self._follow(way, self._turn)

    def _follow(self, way: list[MessagePump | None], turn: int) -> None:
        while way:
            pump = way[0] or self.screen
            way = way[1:]
            if pump.call_later(self._follow, way, turn):
                return
        self.call_later(self._done, turn)

    async def _done(self, turn: int) -> None:
        """The key of this turn has done what it does: the next one's turn."""
        if turn != self._turn or not self._busy:
            return
        self._busy = False
        if self._ahead:
            await self._take(self._ahead.popleft())
            if self._ahead:
                self.set_timer(_LONGEST_S, partial(self._done, self._turn))
