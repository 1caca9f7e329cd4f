"""A line to type in, whose cursor stands still: a blinking one sends bytes for ever, over a line that may be thin."""

from __future__ import annotations

from typing import Any

from textual.widgets import Input


class LineInput(Input):
    DEFAULT_CSS = """
    LineInput { border: none; height: 1; padding: 0 1; background: $boost; }
    LineInput:focus { border: none; }
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, select_on_focus=False, **kwargs)
        self.cursor_blink = False

    def on_focus(self) -> None:
        self.cursor_position = len(self.value)

    def on_blur(self) -> None:
        """Its beginning says more of what stands there than its end."""
        if self.app.screen_stack:  # there is none while the app leaves
            self.cursor_position = 0
