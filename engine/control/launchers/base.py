"""What every launcher does: start a run on a slot, say how it stands, stop it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from engine.records.workspace import RunFolder

TRAINING_MODULE, PROCESSES_MODULE = "engine.training.run", "engine.training.processes"


class Slot(NamedTuple):
    """What a run may hold: one GPU or one CPU core, or several of them (`gpu:0+gpu:1`); or a place in a cluster's queue
    (kind `slurm`), whose job has what it needs. `env` is what the run's processes get for it."""

    name: str
    kind: str
    env: dict[str, str]
    num_processes: int = 1


def slots_for(num_processes: int, slots: Sequence[Slot]) -> list[Slot]:
    """The first of these slots that a run of so many processes would hold, each a GPU of its own; none where they are
    too few."""
    if slots and slots[0].kind == "slurm":
        return [slots[0]]
    distinct: dict[str, Slot] = {}  # runs may share a GPU; the processes of one run do not
    for slot in slots:
        distinct.setdefault(_gpu(slot) or slot.name, slot)
    return list(distinct.values())[:num_processes] if len(distinct) >= num_processes else []


def combined(slots: Sequence[Slot], num_processes: int) -> Slot:
    """What a run of so many processes holds, as one slot."""
    names, gpus = (list(dict.fromkeys(part)) for part in zip(*((s.name, _gpu(s)) for s in slots), strict=True))
    env = slots[0].env if len(slots) == 1 else slots[0].env | {"CUDA_VISIBLE_DEVICES": ",".join(filter(None, gpus))}
    return Slot("+".join(names), slots[0].kind, env, num_processes)


def _gpu(slot: Slot) -> str:
    return slot.env.get("CUDA_VISIBLE_DEVICES", "")


def training_argv(run: str, slot: Slot, attempt: int) -> list[str]:
    """What is given to Python to train the run in this folder."""
    module = ["-m", TRAINING_MODULE] if slot.num_processes == 1 else ["-m", PROCESSES_MODULE, str(slot.num_processes)]
    return [*module, run, "--threads", slot.env["OMP_NUM_THREADS"], "--attempt", str(attempt)]


class Standing(NamedTuple):
    """How an attempt stands: `starting`, `waiting` (in a scheduler's queue, for a reason), `running`, `ended` (with the
    guard's account), `taken` (by the scheduler, which says nothing against the run) or `lost`."""

    state: str
    exit: dict[str, Any] | None = None
    reason: str = ""


class Launcher(Protocol):
    def slots(self, wanted: int | None) -> list[Slot]:
        """The slots of this host; `wanted` of them where a number is asked for."""

    def start(self, folder: RunFolder, slot: Slot, attempt: int) -> None:
        """Start an attempt and return at once. Asked twice for the same attempt, it starts once. LaunchError where it
        cannot."""

    def standing(self, folder: RunFolder, attempt: int) -> Standing: ...

    def stop(self, folder: RunFolder) -> None:
        """Ask a run to write a checkpoint and end."""

    def close(self) -> None:
        """Let go of whatever was kept to start runs quickly; runs go on."""
