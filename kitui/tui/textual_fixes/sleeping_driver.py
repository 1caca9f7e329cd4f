"""The terminal is looked at ten times a second, and without end once it is gone; here input wakes a thread that sleeps.

The looking is most of what an idle app costs. Textual does it because a lone escape is told from the beginning of a
key's code by time alone: so here too for a moment after each input. Seen with Textual 8.2.8; upstream: pull request
6690 (open) for the terminal that is gone; for the rest no report found (searched on 2026-11-26).
"""

from __future__ import annotations

import os
import selectors
import time
from codecs import getincrementaldecoder
from threading import Event
from typing import Any

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

_LOOK_S, _MOMENT_S = 0.1, 0.5


class _WakingEvent(Event):
    """An event that also makes a file readable."""

    def __init__(self) -> None:
        super().__init__()
        self.file, self._end = os.pipe()

    def set(self) -> None:
        super().set()
        os.write(self._end, b"\0")

    def clear(self) -> None:
        super().clear()
        os.read(self.file, 1)


class SleepingDriver(LinuxDriver):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.exit_event = self._exit = _WakingEvent()

    def run_input_thread(self) -> None:
        parser, decode = XTermParser(self._debug), getincrementaldecoder("utf-8")(errors="replace").decode
        awake_until = time.monotonic() + _MOMENT_S
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._exit.file, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                ready = selector.select(_LOOK_S if time.monotonic() < awake_until else None)
                if any(key.fd == self.fileno for key, _ in ready):
                    awake_until = time.monotonic() + _MOMENT_S
                    data = self._read()
                    if not data:
                        selector.unregister(self.fileno)
                    for message in parser.feed(text) if (text := decode(data)) else ():
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def _read(self) -> bytes:
        """What was typed; nothing where the terminal is gone, which would else be told of again and again."""
        try:
            return os.read(self.fileno, 4096)
        except OSError:
            return b""
