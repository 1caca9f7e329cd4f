"""Textual's command palette, without two of its crashes (version 8.2)."""

from __future__ import annotations

import contextlib

from textual.command import CommandPalette

from kitui.tui.screens.over import DismissedOnce


class Palette(DismissedOnce, CommandPalette):
    ALLOW_SELECT = False  # a triple click selects all of it, which fails: Textual issue 6308

    def _action_command_list(self, action: str) -> None:
        # A page key that comes before the list has been laid out finds no line of its own there.
        with contextlib.suppress(KeyError):
            super()._action_command_list(action)
