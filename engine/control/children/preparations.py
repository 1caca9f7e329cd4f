"""Making token files, one process a sweep, beside everything else that the supervisor does."""

from __future__ import annotations

import subprocess
import sys

import orjson

from engine.errors import KituiError
from engine.records.workspace import Workspace


class Preparations:
    """`python -m engine.corpus.prepare make SWEEP` for each sweep that waits for its token files."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def keep(self, name: str) -> None:
        """See that this sweep is being prepared."""
        if name in self._processes:
            return
        folder = self._workspace.sweep(name)
        argv = [sys.executable, "-m", "engine.corpus.prepare", "make", str(folder.root)]
        with folder.prepare_error.open("wb") as out, folder.prepare_log.open("ab") as log:
            self._processes[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=log, cwd="/")

    def ended(self) -> list[tuple[str, str | None]]:
        """Sweeps whose preparation has ended since the last call, each with what went wrong, if anything did."""
        codes = {name: process.poll() for name, process in self._processes.items()}
        over = [(name, self._error(name, code)) for name, code in codes.items() if code is not None]
        for name, _ in over:
            del self._processes[name]
        return over

    def drop(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            process.terminate()
            process.wait()

    def close(self) -> None:
        for process in self._processes.values():
            process.terminate()

    def _error(self, name: str, code: int) -> str | None:
        if code == 0:
            return None
        folder = self._workspace.sweep(name)
        try:
            return str(KituiError.from_json(orjson.loads(folder.prepare_error.read_bytes())))
        except (OSError, orjson.JSONDecodeError):
            return f"preparation ended with code {code}: see {folder.prepare_log}"
