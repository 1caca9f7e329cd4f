"""A log of any size, read where it is looked at: no index is made, and a gigabyte opens at once.

Places are byte offsets of line beginnings. A line that is longer than what is shown of it costs no more than that.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

MAX_LINE_BYTES = 2_000
"""What is read of one line at most; the rest is counted and not shown."""
_CHUNK_BYTES = 4 * 2**20


class LogLine(NamedTuple):
    start: int
    """Offset of its first byte."""
    text: str


class LogFile:
    """A file that may grow, shrink, be replaced or not be there yet. Read by position, never mapped: a mapped file that
    is cut short kills the program that looks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._descriptor: int | None = None
        self._identity: tuple[int, int] | None = None

    def refresh(self) -> bool:
        """Take in what was added; whether anything changed."""
        try:
            status = self.path.stat()
            identity = (status.st_ino, status.st_size)
            if identity == self._identity:
                return False
            self.close()
            self._descriptor = os.open(self.path, os.O_RDONLY)
        except OSError:
            changed = self.size > 0
            self.close()
            return changed
        self._identity, self.size = identity, status.st_size
        return True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self.size, self._identity = None, 0, None

    def lines(self, start: int, count: int) -> list[LogLine]:
        """Up to `count` lines from the one that begins at `start`."""
        found: list[LogLine] = []
        while start < self.size and len(found) < count:
            newline = self._find_newline(start)
            end = self.size if newline is None else newline
            shown = self._read(start, min(end, start + MAX_LINE_BYTES)).decode("utf-8", "replace")
            if end - start > MAX_LINE_BYTES:
                shown += f" … {end - start - MAX_LINE_BYTES:,} more bytes"
            found.append(LogLine(start, shown))
            start = end + 1
        return found

    def back(self, start: int, count: int) -> int:
        """Where the line begins that lies `count` lines before the one at `start`."""
        place = min(start, self.size)
        for _ in range(count):
            if place <= 0:
                return 0
            place = self._line_start(place - 1)
        return place

    def forward(self, start: int, count: int) -> int:
        """Where the line begins that lies `count` lines after the one at `start`, or the last line there is."""
        place = start
        for _ in range(count):
            end = self._find_newline(place)
            if end is None or end + 1 >= self.size:
                break
            place = end + 1
        return place

    def last(self, count: int) -> int:
        """Where the last `count` lines begin."""
        ends_in_newline = self.size > 0 and self._read(self.size - 1, self.size) == b"\n"
        place = self.size if ends_in_newline else self._line_start(self.size)
        return self.back(place, count if ends_in_newline else count - 1)

    def find(self, text: str, start: int, *, backwards: bool = False) -> int | None:
        """The beginning of the next line from `start` on (or the one before it) that holds `text`; letter case counts
        only where `text` has capitals. A few megabytes at a time, so that other threads go on meanwhile."""
        if not text:
            return None
        any_case = not any(c.isupper() for c in text)
        sought = text.encode()
        overlap = len(sought) - 1
        place = start
        while (place > 0) if backwards else (place < self.size):
            begin = max(0, place - _CHUNK_BYTES) if backwards else place
            chunk = self._read(begin, (place if backwards else place + _CHUNK_BYTES) + overlap)
            if any_case:
                chunk = chunk.lower()
            # Going back, a match must begin before `start`: what begins at it has been seen.
            at = chunk.rfind(sought, 0, place - begin + overlap) if backwards else chunk.find(sought)
            if at >= 0:
                return self._line_start(begin + at)
            place = begin if backwards else place + _CHUNK_BYTES
        return None

    def _read(self, start: int, end: int) -> bytes:
        """These bytes, or as many of them as there still are."""
        if self._descriptor is None:
            return b""
        with contextlib.suppress(OSError):
            return os.pread(self._descriptor, max(0, min(end, self.size) - start), start)
        return b""

    def _find_newline(self, start: int) -> int | None:
        step = 4096
        while start < self.size:
            chunk = self._read(start, start + step)
            if not chunk:
                return None
            at = chunk.find(b"\n")
            if at >= 0:
                return start + at
            start, step = start + len(chunk), _CHUNK_BYTES
        return None

    def _line_start(self, place: int) -> int:
        """The beginning of the line that the byte at `place` is in."""
        end, step = place, 4096
        while end > 0:
            begin = max(0, end - step)
            at = self._read(begin, end).rfind(b"\n")
            if at >= 0:
                return begin + at + 1
            end, step = begin, _CHUNK_BYTES
        return 0
