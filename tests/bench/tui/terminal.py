"""A program on a pseudo-terminal, timed from outside: what it paints, when, with how many bytes.

A thread stamps what comes in as it comes and answers what modern programs ask a terminal; the screen is worked out
afterwards (pyte), so that its slowness is in no figure.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from statistics import quantiles
from typing import NamedTuple

import psutil
import pyte

_QUERIES = (
    (re.compile(rb"\x1b\[6n"), b"\x1b[1;1R"),
    (re.compile(rb"\x1b\[c"), b"\x1b[?62;22c"),
    (re.compile(rb"\x1b\]11;\?(\x07|\x1b\\)"), b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
    (re.compile(rb"\x1b\]10;\?(\x07|\x1b\\)"), b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
)


_LIST = (28, 38)
"""Lines and columns at the upper left, which each of the programs gives to its list of runs."""


class Press(NamedTuple):
    """One key: seconds until the screen first changed (None: it did not), and bytes until it was quiet."""

    key: str
    paint_s: float | None
    num_bytes: int


class Bench:
    def __init__(self, argv: list[str], env: dict[str, str], columns: int = 120, lines: int = 40) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._chunks: list[tuple[float, bytes]] = []
        self._seen = 0
        self.started = time.perf_counter()
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            own = os.environ | env | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
            own.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode
            os.execvpe(argv[0], argv, own)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                select.select([self._master], [], [])
                data = os.read(self._master, 65_536)
            except OSError:
                return
            self._chunks.append((time.perf_counter(), data))
            for query, answer in _QUERIES:
                if query.search(data):
                    os.write(self._master, answer)

    def _advance(self, part: tuple[int, int] = (1_000, 1_000)) -> list[tuple[float, bool]]:
        """Take in what has come: for each chunk its time, and whether the visible screen, or so many lines and columns
        of its upper left, is another after it."""
        changes = []
        for at, data in self._chunks[self._seen :]:
            before = self._picture(part)
            self._stream.feed(data)
            self._seen += 1
            changes.append((at, self._picture(part) != before))
        return changes

    def _picture(self, part: tuple[int, int]) -> list[object]:
        lines, columns = part
        shown = [self._screen.buffer[y] for y in range(min(lines, self._screen.lines))]
        return [{x: c for x, c in line.items() if x < columns} for line in shown]

    def the_list(self) -> list[object]:
        """What the list shows, with its looks."""
        self._advance()
        return self._picture(_LIST)

    @property
    def text(self) -> str:
        self._advance()
        return "\n".join(line.rstrip() for line in self._screen.display)

    def until(self, pattern: str, limit_s: float = 120.0) -> float:
        """Seconds since the start until the screen shows this."""
        deadline = time.perf_counter() + limit_s
        if re.search(pattern, self.text):
            return self._chunks[self._seen - 1][0] - self.started
        while time.perf_counter() < deadline:
            num = len(self._chunks)
            for at, data in self._chunks[self._seen : num]:
                self._stream.feed(data)
                self._seen += 1
                if re.search(pattern, "\n".join(self._screen.display)):
                    return at - self.started
            time.sleep(0.01)
        raise TimeoutError(f"{pattern} did not come\n{self.text}")

    def quiet(self, seconds: float = 0.3, limit_s: float = 10.0) -> None:
        """Wait until nothing has come for so long."""
        deadline = time.perf_counter() + limit_s
        while time.perf_counter() < deadline:
            last = self._chunks[-1][0] if self._chunks else 0.0
            if time.perf_counter() - last > seconds:
                return
            time.sleep(0.02)

    def press(self, key: str) -> Press:
        self.quiet()
        self._advance()
        num = len(self._chunks)
        sent = time.perf_counter()
        os.write(self._master, key.encode())
        while len(self._chunks) == num and time.perf_counter() < sent + 2.0:
            time.sleep(0.01)
        self.quiet()
        size = sum(len(data) for _, data in self._chunks[num:])
        changed = [at for at, differs in self._advance() if differs]
        return Press(key, changed[0] - sent if changed else None, size)

    def hold(self, key: str, times: int, per_s: float) -> tuple[float, float]:
        """A held key: seconds from the last press to the last change of the list, and bytes a key."""
        self.quiet()
        self._advance()
        num = len(self._chunks)
        for _ in range(times):
            os.write(self._master, key.encode())
            time.sleep(1 / per_s)
        last = time.perf_counter()
        self.quiet()
        size = sum(len(data) for _, data in self._chunks[num:])
        changes = [at for at, differs in self._advance(_LIST) if differs]
        return max(0.0, changes[-1] - last if changes else 0.0), size / times

    def over(self, seconds: float) -> tuple[float, float]:
        """Bytes a second and share of one core, over this time."""
        processes = self._processes()
        before = {p.pid: sum(p.cpu_times()[:2]) for p in processes}
        num, started = len(self._chunks), time.perf_counter()
        time.sleep(seconds)
        elapsed = time.perf_counter() - started
        used = 0.0
        for process in processes:
            try:
                used += sum(process.cpu_times()[:2]) - before[process.pid]
            except psutil.Error:
                continue
        return sum(len(data) for _, data in self._chunks[num:]) / elapsed, used / elapsed

    def memory_mb(self) -> float:
        total = 0
        for process in self._processes():
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total / 1e6

    def _processes(self) -> list[psutil.Process]:
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]

    def close(self) -> None:
        for child in psutil.Process(self.pid).children(recursive=True):  # leet leaves one behind otherwise, at work
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._master)


def p50_p95_ms(presses: list[Press]) -> tuple[float, float]:
    """Median and 95th percentile of key to paint; keys without a visible effect are left out."""
    times = sorted(1000 * p.paint_s for p in presses if p.paint_s is not None)
    if len(times) < 2:
        return math.nan, math.nan
    cuts = quantiles(times, n=20, method="inclusive")
    return cuts[9], cuts[18]
