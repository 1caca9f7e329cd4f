"""Printing: results on stdout, everything else on stderr; errors in one paragraph; JSON alone where it is asked for."""

from __future__ import annotations

import sys
from typing import NoReturn

import orjson
from rich.console import Console
from rich.text import Text

from engine.errors import KituiError
from engine.records.record import Record, plain
from kitui.services.text import printable


def out() -> Console:
    """For results. Made anew so that redirection and NO_COLOR are seen as they are now."""
    return Console(highlight=False, markup=False, soft_wrap=False)


def err() -> Console:
    """For messages and progress."""
    return Console(stderr=True, highlight=False, markup=False)


def print_json(document: Record | dict[str, object]) -> None:
    content = plain(document) if isinstance(document, Record) else document
    sys.stdout.buffer.write(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    err().print(Text(printable(text)), soft_wrap=True)


def fail(error: KituiError) -> NoReturn:
    """Print the error for a person and leave with its exit code."""
    err().print(Text.assemble(("error: ", "bold red"), printable(str(error))), soft_wrap=True)
    raise SystemExit(error.exit_code)
