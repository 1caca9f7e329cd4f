"""Runs on this machine: one guard each, on CPU cores or GPUs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING

import orjson

from engine.control.children.preparations import Preparations
from engine.control.launchers import mirror
from engine.control.launchers.base import (
    TRAINING_MODULE,
    Contact,
    Prepared,
    Standing,
    training_argv,
)
from engine.control.onhost import guard
from engine.control.slots import CPU_ENV, Slot, core_slots, gpu_slots
from engine.errors import LaunchError
from engine.records.hosts import Host
from engine.records.processes import ExitRecord, GuardRecord, LaunchRecord
from engine.records.record import plain, read_record
from engine.records.workspace import RunFolder, Workspace, write_json

if TYPE_CHECKING:  # pydantic with it, which those who only look do not need
    from engine.records.bundle import SweepBundle

_START_LIMIT_S = 180
"""A guard is there at once, but a warm start first loads the training code."""
_GPUS_KEPT_S = 10.0


class LocalLauncher:
    def __init__(self, workspace: Workspace, host: Host) -> None:
        self._workspace, self.host = workspace, host
        self._gpus: list[str] = []
        self._gpus_until_s = 0.0
        self._preparations = Preparations(workspace)
        self._warm: subprocess.Popen[bytes] | None = None
        # When each attempt was asked for, and of which warm process (None: started cold).
        self._asked: dict[tuple[str, int], tuple[float, subprocess.Popen[bytes] | None]] = {}

    @property
    def contact(self) -> Contact:
        return Contact(is_met=True, slots=tuple(self.slots(None)))

    def slots(self, wanted: int | None) -> list[Slot]:
        if time.monotonic() >= self._gpus_until_s:  # asked several times a second
            self._gpus, self._gpus_until_s = visible_gpus(), time.monotonic() + _GPUS_KEPT_S
        if self._gpus:
            return gpu_slots(self._gpus)[:wanted]
        return core_slots(wanted or len(os.sched_getaffinity(0)))

    def start(self, folder: RunFolder, slot: Slot, attempt: int) -> None:
        argv = [sys.executable, *training_argv(str(folder.root), slot, attempt)]
        if folder.host.exists():  # what it writes from here on is no other host's
            mirror.begin(folder.root, self.host.name)
        write_json(folder.launch, plain(LaunchRecord(attempt=attempt, argv=tuple(argv), env=slot.env)))
        warm = self._ask_warm(folder) if slot.kind == "cpu" and slot.num_processes == 1 else None
        if warm is None:
            self._start_cold(folder)
        self._asked[folder.root.name, attempt] = (time.monotonic(), warm)

    def standing(self, folder: RunFolder, attempt: int) -> Standing:
        ended = _ending(folder, attempt)
        if ended is not None:
            return Standing("ended", ended)
        owner = read_record(GuardRecord, folder.guard)
        if owner is not None and owner.attempt == attempt:
            if _is_alive(owner):
                return Standing("running")
            ended = _ending(folder, attempt)  # it may have ended between the two looks
            if ended is not None:
                return Standing("ended", ended)
            if owner.boot_id != guard.boot_id():
                return Standing("taken", reason="this machine was started anew")
            return Standing("lost")
        if (folder.root.name, attempt) not in self._asked:
            return self._begun_by_another(folder, attempt)
        asked_s, warm = self._asked[folder.root.name, attempt]
        if time.monotonic() - asked_s > _START_LIMIT_S:
            return Standing("lost")
        if warm is not None and warm.poll() is not None:  # it died before it got so far
            self._start_cold(folder)
            self._asked[folder.root.name, attempt] = (asked_s, None)
        return Standing("starting")

    def _begun_by_another(self, folder: RunFolder, attempt: int) -> Standing:
        """An attempt that a supervisor before this one was about to start, and that no guard owns yet. Its guard may be
        on its way: one more does no harm, for a second guard leaves at once."""
        launch = read_record(LaunchRecord, folder.launch)
        if launch is None or launch.attempt != attempt:
            return Standing("taken", reason="its start was interrupted")
        self._start_cold(folder)
        self._asked[folder.root.name, attempt] = (time.monotonic(), None)
        return Standing("starting")

    def stop(self, folder: RunFolder) -> bool:
        owner = read_record(GuardRecord, folder.guard)
        launch = read_record(LaunchRecord, folder.launch)
        if owner is None or launch is None or owner.attempt != launch.attempt or not _is_alive(owner):
            return False
        os.kill(owner.pid, signal.SIGTERM)
        return True

    def prepare(self, bundle: SweepBundle, attempt: int) -> None:
        self._preparations.keep(bundle.plan.sweep, attempt)

    def prepared(self, sweep: str) -> Prepared:
        ending = self._preparations.ending(sweep)
        if ending is None:
            return Prepared()
        return Prepared(not ending.fault, ending.fault, self._workspace.sweep(sweep).plan)

    def drop(self, sweep: str) -> None:
        self._preparations.drop(sweep)

    def discard(self, names: list[str]) -> bool:
        """Nothing is left here: whoever deletes a sweep removes its folders on this machine."""
        return True

    def forget_discarded(self) -> None:
        """There is nothing to forget."""

    def close(self) -> None:
        self._preparations.close()
        if self._warm is not None and self._warm.stdin is not None:
            self._warm.stdin.close()
            self._warm = None

    def _start_cold(self, folder: RunFolder) -> None:
        try:
            subprocess.Popen(
                [sys.executable, "-I", guard.__file__, str(folder.root)],
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


def _ending(folder: RunFolder, attempt: int) -> ExitRecord | None:
    ending = read_record(ExitRecord, folder.exit)
    return ending if ending is not None and ending.attempt == attempt else None


def _is_alive(owner: GuardRecord) -> bool:
    return guard.is_alive(owner.pid, owner.start_ticks, owner.boot_id)
