"""How an analysis command speaks to whoever started it: its answer on standard output, a document or the error that was
found; how far it is in lines on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec
import orjson

from engine.errors import KituiError
from engine.records.analysis import Progress
from engine.records.record import Record, encoded


def answer(work: Callable[[], Record]) -> int:
    """Work, and print what came of it; the exit code."""
    try:
        content = encoded(work())
    except KituiError as error:
        sys.stdout.buffer.write(orjson.dumps(error.to_json()))
        return error.exit_code
    sys.stdout.buffer.write(content)
    return 0


def report_progress(done: int, of: int) -> None:
    sys.stderr.buffer.write(msgspec.json.encode(Progress(done, of)) + b"\n")
    sys.stderr.buffer.flush()
