"""Runs on this machine: one guard each, on CPU cores or GPUs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import IO

import orjson

from engine.control.hosts.config import CPU_ENV, LOCAL
from engine.control.launchers import mirror
from engine.control.launchers.base import TRAINING_MODULE, Slot, Standing, training_argv
from engine.control.onhost import guard as guard_module
from engine.control.onhost.guard import is_alive
from engine.errors import LaunchError
from engine.records.workspace import RunFolder, Workspace, read_json, write_json

# A guard is there at once, but a warm start first loads the training code.
_START_LIMIT_S = 180


class LocalLauncher:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._warm: subprocess.Popen[bytes] | None = None
        # When each attempt was asked for, and of which warm process (None: started cold).
        self._asked: dict[tuple[str, int], tuple[float, subprocess.Popen[bytes] | None]] = {}

    def slots(self, wanted: int | None) -> list[Slot]:
        gpus = visible_gpus()
        if gpus:
            return [Slot(f"gpu:{g}", "gpu", {"CUDA_VISIBLE_DEVICES": g, "OMP_NUM_THREADS": "4"}) for g in gpus][:wanted]
        num = wanted or len(os.sched_getaffinity(0))
        # One single-threaded process a core is the quickest way to train small models on a CPU.
        return [Slot(f"cpu:{i}", "cpu", CPU_ENV) for i in range(num)]

    def start(self, folder: RunFolder, slot: Slot, attempt: int) -> None:
        argv = [sys.executable, *training_argv(str(folder.root), slot, attempt)]
        if folder.host.exists():  # what it writes from here on is no other host's
            mirror.begin(folder.root, LOCAL)
        write_json(folder.launch, {"attempt": attempt, "argv": argv, "env": slot.env, "cwd": "/"})
        warm = self._ask_warm(folder) if slot.kind == "cpu" and slot.num_processes == 1 else None
        if warm is None:
            self._start_cold(folder)
        self._asked[folder.root.name, attempt] = (time.monotonic(), warm)

    def standing(self, folder: RunFolder, attempt: int) -> Standing:
        ended = read_json(folder.exit)
        if ended is not None and ended["attempt"] == attempt:
            return Standing("ended", ended)
        identity = read_json(folder.guard)
        if identity is not None and identity["attempt"] == attempt:
            if is_alive(identity):
                return Standing("running")
            # The guard may have ended between the two looks.
            ended = read_json(folder.exit)
            return Standing("ended", ended) if ended is not None and ended["attempt"] == attempt else Standing("lost")
        asked_s, warm = self._asked.get((folder.root.name, attempt), (None, None))
        if asked_s is None or time.monotonic() - asked_s > _START_LIMIT_S:
            return Standing("lost")
        if warm is not None and warm.poll() is not None:  # it died before it got so far
            self._start_cold(folder)
            self._asked[folder.root.name, attempt] = (asked_s, None)
        return Standing("starting")

    def stop(self, folder: RunFolder) -> None:
        identity = read_json(folder.guard)
        if identity is not None and is_alive(identity):
            os.kill(identity["pid"], signal.SIGTERM)

    def close(self) -> None:
        if self._warm is not None and self._warm.stdin is not None:
            self._warm.stdin.close()
            self._warm = None

    def _start_cold(self, folder: RunFolder) -> None:
        try:
            subprocess.Popen(
                [sys.executable, "-I", guard_module.__file__, str(folder.root)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise LaunchError(f"the guard cannot be started: {error.strerror}.", where=str(folder.root)) from None

    def _ask_warm(self, folder: RunFolder) -> subprocess.Popen[bytes] | None:
        """Ask the warm process, starting it if need be; None if it cannot be reached."""
        if self._warm is None or self._warm.poll() is not None:
            self._warm = self._spawn_warm()
        stdin: IO[bytes] | None = self._warm.stdin
        assert stdin is not None
        try:
            stdin.write(orjson.dumps({"folder": str(folder.root)}) + b"\n")
            stdin.flush()
        except OSError:
            return None
        return self._warm

    def _spawn_warm(self) -> subprocess.Popen[bytes]:
        with self._workspace.supervisor_log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "engine.control.launchers.warm", TRAINING_MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=os.environ | CPU_ENV,
            )


def visible_gpus() -> list[str]:
    """The GPUs that a process started here would see, by index or UUID: CUDA_VISIBLE_DEVICES, or else NVML's count."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [part.strip() for part in chosen.split(",") if part.strip() and part.strip() != "-1"]
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [str(index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()
