"""What a run has to say, as lines of text: its own output, then its events, losses and scores as they come. `kitui
logs` prints them, and the app shows the same."""

from __future__ import annotations

import codecs

from engine.records.metrics import MetricsTail
from engine.records.workspace import RunFolder
from kitui.services.learning_curve import record_line
from kitui.services.text import printable

_CHUNK_BYTES = 2**20


class RunLog:
    """Read on and on. Of its own output and of its metrics only what is new is read."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._offset = 0
        self._decode = _decoder()
        self._tail = MetricsTail(folder.metrics)

    def read_new(self) -> list[str]:
        """Lines that have come since the last call, a few megabytes' worth at most; none where nothing is new."""
        return self._own_output() or [printable(record_line(record)) for record in self._tail.read_new()]

    def _own_output(self) -> list[str]:
        try:
            with self._folder.log.open("rb") as handle:
                if handle.seek(0, 2) < self._offset:  # another file: the run is trained anew
                    self._offset, self._decode = 0, _decoder()
                handle.seek(self._offset)
                chunk = handle.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return []
        # A line that is being written is shown as far as it goes; what is added to it comes as a line of its own.
        end = chunk.rfind(b"\n") + 1 or len(chunk)
        self._offset += end
        return [printable(line) for line in self._decode.decode(chunk[:end]).splitlines()]


def _decoder() -> codecs.IncrementalDecoder:
    """Keeps the bytes of a letter of which the rest is still to come."""
    return codecs.getincrementaldecoder("utf-8")("replace")
