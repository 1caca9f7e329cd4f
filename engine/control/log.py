"""The supervisor's log: a line at a time, also where the disk is full, and never without bound."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from pathlib import Path

MOST_BYTES = 10 * 10**6
"""A log of more is put aside, as the one before; what was put aside earlier goes."""


def say(words: str) -> None:
    """A line of the supervisor's log, which may lie on a full disk."""
    with contextlib.suppress(OSError, ValueError):
        print(f"{time.strftime('%F %T')} {words}", file=sys.stderr, flush=True)


def put_aside(log: Path, most_bytes: int = MOST_BYTES) -> bool:
    """Put a log aside that has grown too large; whether it had."""
    try:
        if log.stat().st_size <= most_bytes:
            return False
        os.replace(log, log.with_name(f"{log.name}.1"))
    except OSError:
        return False
    return True


def keep_bounded(log: Path, most_bytes: int = MOST_BYTES) -> None:
    """Put this process's own log aside where it is too large, and go on in a new one."""
    if stat.S_ISREG(os.fstat(2).st_mode) and put_aside(log, most_bytes):
        with contextlib.suppress(OSError):
            new = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(new, 1)
            os.dup2(new, 2)
            os.close(new)
