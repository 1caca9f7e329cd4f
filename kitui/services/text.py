"""Text that is safe to show, and tables as text."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType


def plain_text(renderable: RenderableType, width: int = 200) -> str:
    """What a table looks like without colours, as text: a screen draws text sooner than it lays out a table."""
    console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False, highlight=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def printable(text: str) -> str:
    """Without control sequences: names, logs and hosts may hold anything."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
