"""One kind of child process: an engine command that works for one sweep and ends with the supervisor's word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""In the environment of a process that works on small arrays, beside runs that want the cores."""


class Child:
    """`python -m MODULE ARGUMENTS…`: standard output to a file or nowhere, standard error appended to a log."""

    def __init__(self, module: str, *arguments: str, log: Path, output: Path | None = None, one_thread: bool = False):
        environment = os.environ | (ONE_THREAD if one_thread else {})
        with log.open("ab") as errors, Path(output or os.devnull).open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                cwd="/",
                env=environment,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def ask_to_end(self) -> None:
        self._process.terminate()

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        self._process.terminate()
        self._process.wait()
