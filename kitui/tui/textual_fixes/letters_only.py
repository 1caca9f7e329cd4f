"""Textual sends the text of a widget to the terminal as it is, control sequences and all.

Whoever writes a workspace's documents could so set a title, clear the screen or turn lines round. Here every line that
is drawn goes through one function on its way. Seen with Textual 8.2.8; upstream: no report
found (searched on 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.segment import Segment
from textual.strip import Strip

from kitui.services.text import UNSAFE, printable

_render: Callable[[Strip, Console], str] = Strip.render


def _letters_only(strip: Strip, console: Console) -> str:
    if any(UNSAFE.search(text) for text, _, control in strip if not control):
        segments = [Segment(s.text if s.control else printable(s.text), s.style, s.control) for s in strip]
        return _render(Strip(segments, strip.cell_length), console)
    return _render(strip, console)


def install() -> None:
    """From now on, in this process."""
    Strip.render = _letters_only  # type: ignore[method-assign, assignment]
