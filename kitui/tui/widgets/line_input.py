"""A line to type in, whose cursor stands still: a blinking one sends bytes for ever, over a line that may be thin."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.widgets import Input


class LineInput(Input):
    DEFAULT_CSS = """
    LineInput { border: none; height: 1; padding: 0 1; background: $boost; }
    LineInput:focus { border: none; }
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, select_on_focus=False, **kwargs)
        self.cursor_blink = False

    def on_focus(self, event: events.Focus) -> None:
        """Come to by a key, one goes on at the end; a click says itself where, and another window changes nothing."""
        if not (event.from_app_focus or self.is_mouse_over):
            self.cursor_position = len(self.value)
            self.scroll_end(animate=False, immediate=True)

    def on_blur(self) -> None:
        """Its beginning says more of what stands there than its end."""
        if self.app.app_focus:
            self.scroll_home(animate=False, immediate=True)
