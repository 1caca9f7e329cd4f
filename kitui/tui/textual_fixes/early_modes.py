"""The first visit to a mode is slow: its screen is mounted and styled only then.

Mounted beforehand, going to it is only drawing it; Textual has no public call for that. Seen with Textual 8.2.8; no
upstream report found (searched on 2026-11-26).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.screen import Screen

if TYPE_CHECKING:
    _App = App[None]
else:
    _App = App


class EarlyModes(_App):
    def mounted(self, mode: str) -> Screen[Any] | None:
        """The lowest screen of a mode that has been mounted."""
        return next(iter(self._screen_stacks.get(mode, [])), None)

    async def mount_mode(self, mode: str) -> None:
        # An app that closes goes through its modes, and breaks where one more comes meanwhile.
        if self.is_running and self.mounted(mode) is None:
            await self._init_mode(mode)
