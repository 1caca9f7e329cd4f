"""A terminal to run the app in: a pty whose screen is kept by pyte."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
from types import TracebackType

import pyte


class Terminal:
    """A program on a pty of its own. A thread keeps the screen; `text` is what a person would read on it."""

    def __init__(self, argv: list[str], env: dict[str, str], columns: int = 120, lines: int = 40) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._written = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored, where a shell has put the tests in the background
            size = {"COLUMNS": str(columns), "LINES": str(lines)}  # snapshot tests leave theirs in the environment
            os.execvpe(argv[0], argv, env | size | {"TERM": "xterm-256color", "COLORTERM": "truecolor"})
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:
                return
            if not data:
                return
            with self._lock:
                self._written += data
                self._stream.feed(data)

    @property
    def text(self) -> str:
        with self._lock:
            return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def written(self) -> str:
        """Everything that was sent to the terminal."""
        with self._lock:
            return self._written.decode(errors="replace")

    def resize(self, columns: int, lines: int) -> None:
        with self._lock:
            self._screen.resize(lines, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def send(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def hang_up(self) -> None:
        """Close the terminal, as a closed window or a dropped line does."""
        os.close(self._master)

    def wait(self) -> int:
        """The exit status, once all that was written is read."""
        status = os.waitpid(self.pid, 0)[1]
        self._reader.join(30)  # what the program wrote last may still lie in the pty
        return os.waitstatus_to_exitcode(status)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
