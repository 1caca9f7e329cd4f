"""What each slot of this machine does: the run on it, its processor time and memory, and its GPU."""

from __future__ import annotations

import contextlib
import time
from typing import Any, NamedTuple

from engine.errors import StateError
from engine.records.processes import GuardRecord
from engine.records.record import read_record
from engine.records.states import LOCAL, Runs
from engine.records.workspace import Workspace
from kitui.services.format import size_of_bytes

_EVERY_S = 2.0
_BAR = 8


class Gauge(NamedTuple):
    slot: str
    run_id: str
    cpu_percent: float
    """Of one core, over the last two seconds or so."""
    memory_bytes: int
    gpu_percent: float | None
    gpu_memory: tuple[int, int] | None
    """Bytes used and there, where the slot is a GPU."""

    def line(self) -> str:
        words = f"{self.slot:<6} {_bar(self.cpu_percent)} CPU {self.cpu_percent:3.0f} %"
        words += f"  {size_of_bytes(self.memory_bytes):>7}"
        if self.gpu_percent is not None:
            words += f"  GPU {_bar(self.gpu_percent)} {self.gpu_percent:3.0f} %"
        if self.gpu_memory is not None:
            used, total = self.gpu_memory
            words += f"  {size_of_bytes(used)} of {size_of_bytes(total)}"
        return f"{words}  {self.run_id}"


def _bar(percent: float) -> str:
    filled = max(0, min(_BAR, round(_BAR * percent / 100)))
    return "▮" * filled + "▯" * (_BAR - filled)


class Gauges:
    """Reads them, every two seconds at most. Processes are told apart by the guard's own file."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._processes: dict[int, Any] = {}
        self._last: tuple[Gauge, ...] = ()
        self._next_s = 0.0

    def read(self, runs: Runs) -> tuple[Gauge, ...]:
        if time.monotonic() < self._next_s:
            return self._last
        self._next_s = time.monotonic() + _EVERY_S
        local = [(run_id, run) for run_id, run in runs.items() if run.is_running and run.host == LOCAL]
        running = [(run.slot, run_id) for run_id, run in local if run.slot]
        gauges = tuple(self._gauge(slot, run_id) for slot, run_id in sorted(running))
        alive = {pid for pid in self._processes if self._processes[pid].is_running()}
        self._processes = {pid: self._processes[pid] for pid in alive}
        if gauges != self._last:
            self._last = gauges
        return self._last

    def _gauge(self, slot: str, run_id: str) -> Gauge:
        import psutil

        percent, memory = 0.0, 0
        with contextlib.suppress(psutil.Error, StateError):
            owner = read_record(GuardRecord, self._workspace.run(run_id).guard)
            guard = psutil.Process(owner.pid) if owner is not None else None
            for process in (guard, *guard.children(recursive=True)) if guard is not None else ():
                known = self._processes.setdefault(process.pid, process)
                with contextlib.suppress(psutil.Error):
                    percent += known.cpu_percent()
                    memory += known.memory_info().rss
        gpu = _gpu(slot.removeprefix("gpu:")) if slot.startswith("gpu:") else (None, None)
        return Gauge(slot, run_id, round(percent), memory, *gpu)


def _gpu(name: str) -> tuple[float | None, tuple[int, int] | None]:
    """Utilisation and memory of a GPU, by index or UUID, from NVML; nothing where there is none."""
    import pynvml

    try:
        pynvml.nvmlInit()
        by_index = name.isdigit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(int(name)) if by_index else pynvml.nvmlDeviceGetHandleByUUID(name)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu), (int(memory.used), int(memory.total))
    except pynvml.NVMLError:
        return None, None
