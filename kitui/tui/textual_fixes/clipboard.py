"""What is copied inside tmux does not reach the terminal outside.

Textual copies with OSC 52, which tmux keeps for itself unless told otherwise; in tmux's own envelope it goes on to the
terminal. Seen with Textual 8.2.8; no upstream report found (searched on 2026-11-26).
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from textual.app import App

if TYPE_CHECKING:
    _App = App[None]
else:
    _App = App


class CopiesThroughTmux(_App):
    def copy_to_clipboard(self, text: str) -> None:
        super().copy_to_clipboard(text)
        if os.environ.get("TMUX") and self._driver is not None:
            content = base64.b64encode(text.encode()).decode()
            self._driver.write(f"\x1bPtmux;\x1b\x1b]52;c;{content}\a\x1b\\")
