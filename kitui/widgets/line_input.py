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
