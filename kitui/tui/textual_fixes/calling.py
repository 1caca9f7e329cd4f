"""Notifications of the terminal itself: Textual has a bell, and no public way to send a terminal anything else.

Seen with Textual 8.2.8; no upstream report found (searched on 2026-11-27).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App

if TYPE_CHECKING:
    _App = App[None]
else:
    _App = App


class CallsThroughTerminal(_App):
    def call(self, codes: str) -> None:
        """Send these control codes, where there is a terminal."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(codes)
            self._driver.flush()
