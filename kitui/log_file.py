"""A log of any size, read where it is looked at: no index is made, and a gigabyte opens at once.

Places are byte offsets of line beginnings. A line that is longer than what is shown of it costs no more than that.
"""

from __future__ import annotations

import mmap
import os
import re
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
    """A file that may grow, shrink, be replaced or not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map: mmap.mmap | None = None
        self.size = 0
        self._identity: tuple[int, int] | None = None

    def refresh(self) -> bool:
        """Take in what was added; whether anything changed."""
        try:
            with self.path.open("rb") as handle:
                status = os.fstat(handle.fileno())
                identity = (status.st_ino, status.st_size)
                if identity == self._identity:
                    return False
                self.close()
                self._identity, self.size = identity, status.st_size
                if status.st_size:
                    self._map = mmap.mmap(handle.fileno(), status.st_size, access=mmap.ACCESS_READ)
        except OSError:
            changed = self.size > 0
            self.close()
            return changed
        return True

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
        self._map, self.size, self._identity = None, 0, None

    def lines(self, start: int, count: int) -> list[LogLine]:
        """Up to `count` lines from the one that begins at `start`."""
        found: list[LogLine] = []
        while self._map is not None and start < self.size and len(found) < count:
            end = self._map.find(b"\n", start)
            end = self.size if end < 0 else end
            shown = self._map[start : min(end, start + MAX_LINE_BYTES)].decode("utf-8", "replace")
            if end - start > MAX_LINE_BYTES:
                shown += f" … {end - start - MAX_LINE_BYTES:,} more bytes"
            found.append(LogLine(start, shown))
            start = end + 1
        return found

    def back(self, start: int, count: int) -> int:
        """Where the line begins that lies `count` lines before the one at `start`."""
        place = min(start, self.size)
        for _ in range(count):
            if self._map is None or place <= 0:
                return 0
            place = self._map.rfind(b"\n", 0, max(0, place - 1)) + 1
        return place

    def forward(self, start: int, count: int) -> int:
        """Where the line begins that lies `count` lines after the one at `start`, or the last line there is."""
        place = start
        for _ in range(count):
            end = -1 if self._map is None else self._map.find(b"\n", place)
            if end < 0 or end + 1 >= self.size:
                break
            place = end + 1
        return place

    def last(self, count: int) -> int:
        """Where the last `count` lines begin."""
        ends_in_newline = self._map is not None and self.size > 0 and self._map[self.size - 1] == 10
        return self.back(self.size, count) if ends_in_newline else self.back(self.size + 1, count)

    def find(self, text: str, start: int, *, backwards: bool = False) -> int | None:
        """The beginning of the next line from `start` on (or the one before it) that holds `text`; letter case counts
        only where `text` has capitals. Read a few megabytes at a time: other threads go on meanwhile."""
        if self._map is None or not text:
            return None
        flags = 0 if any(c.isupper() for c in text) else re.IGNORECASE
        pattern = re.compile(re.escape(text.encode()), flags)
        overlap = len(text.encode())
        if backwards:
            end = start
            while end > 0:
                begin = max(0, end - _CHUNK_BYTES)
                places = [m.start() for m in pattern.finditer(self._map[begin : min(self.size, end)])]
                if places:
                    return self._line_start(begin + places[-1])
                end = begin + overlap if begin > 0 and end > begin + overlap else 0
            return None
        place = start
        while place < self.size:
            match = pattern.search(self._map[place : place + _CHUNK_BYTES + overlap])
            if match:
                return self._line_start(place + match.start())
            place += _CHUNK_BYTES
        return None

    def _line_start(self, place: int) -> int:
        return 0 if self._map is None else self._map.rfind(b"\n", 0, place) + 1
