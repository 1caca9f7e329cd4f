"""Text that is safe to show, and tables as text."""

from __future__ import annotations

import io
import re

from rich.console import Console, RenderableType


def plain_text(renderable: RenderableType, width: int = 200) -> str:
    """What a table looks like without colours, as text: a screen draws text sooner than it lays out a table."""
    console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False, highlight=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


UNSAFE = re.compile(
    # Controls of both sets but the end of a line, what turns text round or breaks lines, tags, halves of letters. Those
    # that join letters stay: Persian and Hindi are written with them.
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
    r"|[\U000e0000-\U000e007f]"
)
"""What a terminal is never sent as a letter: it could be taken for an order, or hide what stands there."""


def printable(text: str) -> str:
    """Without control sequences: names, logs and hosts may hold anything."""
    return UNSAFE.sub("�", text)
