"""Printing: results on stdout, everything else on stderr; errors in one paragraph; JSON alone where it is asked for."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import NoReturn

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from engine.errors import KituiError
from engine.records.record import Record, plain
from kitui.services.text import UNSAFE, printable


class LettersOnly(Console):
    """A console that sends what it shows as letters, whatever stands in it; its own colours are no part of that."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or not UNSAFE.search(segment.text):
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


_NO_LIMIT = 100_000
"""Columns, where nobody looks at it line by line: more than any table has."""


def out() -> Console:
    """For results: as wide as the terminal, and where stdout is none, as wide as they are. Made anew so that a pipe
    and NO_COLOR are seen as they are now."""
    width = None if sys.stdout.isatty() else _NO_LIMIT
    return LettersOnly(highlight=False, markup=False, soft_wrap=False, width=width)


def err() -> Console:
    """For messages and progress."""
    return LettersOnly(stderr=True, highlight=False, markup=False)


def print_json(document: Record | dict[str, object]) -> None:
    content = plain(document) if isinstance(document, Record) else document
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
    sys.stdout.buffer.write(UNSAFE.sub(_as_escape, text).encode() + b"\n")
    sys.stdout.buffer.flush()


def _as_escape(match: re.Match[str]) -> str:
    """In JSON text it can only stand in strings, and an escape means the same there: terminals see letters alone."""
    return "".join(f"\\u{unit:04x}" for unit in memoryview(match[0].encode("utf-16-le")).cast("H"))


def note(text: str) -> None:
    err().print(Text(printable(text)), soft_wrap=True)


def fail(error: KituiError) -> NoReturn:
    """Print the error for a person and leave with its exit code."""
    err().print(Text.assemble(("error: ", "bold red"), printable(str(error))), soft_wrap=True)
    raise SystemExit(error.exit_code)
