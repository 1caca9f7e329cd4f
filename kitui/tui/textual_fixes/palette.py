"""Textual's command palette crashes on a triple click, and on a page key that comes early.

Seen with Textual 8.2.8; upstream: issue 6308 for the click; for the key no report found (searched on 2026-11-26).
"""

from __future__ import annotations

import contextlib

from textual.command import CommandPalette

from kitui.tui.textual_fixes.dismissed_once import DismissedOnce


class Palette(DismissedOnce, CommandPalette):
    ALLOW_SELECT = False  # a triple click selects all of it, which fails

    def _action_command_list(self, action: str) -> None:
        # A page key that comes before the list has been laid out finds no line of its own there.
        with contextlib.suppress(KeyError):
            super()._action_command_list(action)
