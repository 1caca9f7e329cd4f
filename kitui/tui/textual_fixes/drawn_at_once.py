"""Screens are drawn late, or not at all.

Sizes of the terminal that come and go in one moment are the old size to Textual, which then draws nothing; but the
terminal has thrown away what was cut. And a new screen is held back for 50 ms, for parts that come in one by one: ours
are there at once. Seen with Textual 8.2.8; no upstream report found (searched on 2026-11-26).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App

if TYPE_CHECKING:
    _App = App[None]
else:
    _App = App


class DrawnAtOnce(_App):
    def on_resize(self) -> None:
        self.call_later(self._draw_again)

    def _draw_again(self) -> None:
        self.screen.refresh()

    def delay_update(self, delay: float = 0.05) -> None:
        super().delay_update(min(delay, 0.01))
