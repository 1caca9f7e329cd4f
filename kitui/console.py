"""Printing: results on stdout, everything else on stderr; errors in one paragraph; JSON alone where it is asked for."""

from __future__ import annotations

import io
import sys
from typing import Any, NoReturn

import orjson
from rich.console import Console, RenderableType
from rich.text import Text

from engine.errors import KituiError


def out() -> Console:
    """For results. Made anew so that redirection and NO_COLOR are seen as they are now."""
    return Console(highlight=False, markup=False, soft_wrap=False)


def err() -> Console:
    """For messages and progress."""
    return Console(stderr=True, highlight=False, markup=False)


def print_json(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    err().print(Text(printable(text)), soft_wrap=True)


def fail(error: KituiError) -> NoReturn:
    """Print the error for a person and leave with its exit code."""
    err().print(Text.assemble(("error: ", "bold red"), printable(str(error))), soft_wrap=True)
    raise SystemExit(error.exit_code)


def plain_text(renderable: RenderableType, width: int = 200) -> str:
    """What a table looks like without colours, as text: a screen draws text sooner than it lays out a table."""
    console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False, highlight=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def printable(text: str) -> str:
    """Without control sequences: names, logs and hosts may hold anything."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
