"""Slots: what a run may hold on a host while it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

CPU_ENV = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
"""One single-threaded process a core is the quickest way to train small models on a CPU."""
GPU_THREADS = "4"


class Slot(NamedTuple):
    """One GPU or one CPU core, or several of them (`gpu:0+gpu:1`); or a place in a cluster's queue (kind `job`), whose
    job has all that a run needs, of however many processes. `env` is what the run's processes get for it."""

    name: str
    kind: Literal["cpu", "gpu", "job"]
    env: dict[str, str]
    num_processes: int = 1


def core_slots(number: int) -> list[Slot]:
    """So many slots without a GPU."""
    return [Slot(f"cpu:{core}", "cpu", CPU_ENV) for core in range(number)]


def gpu_slots(gpus: Sequence[str], runs_per_slot: int = 1) -> list[Slot]:
    """`gpus`: indices or UUIDs; several runs may share one."""
    return [
        Slot(
            f"gpu:{gpu}" + (f".{share + 1}" if runs_per_slot > 1 else ""),
            "gpu",
            {"CUDA_VISIBLE_DEVICES": gpu, "OMP_NUM_THREADS": GPU_THREADS},
        )
        for gpu in gpus
        for share in range(runs_per_slot)
    ]


def slots_for(num_processes: int, slots: Sequence[Slot]) -> list[Slot]:
    """The first of these slots that a run of so many processes would hold, each a GPU of its own; none where they are
    too few."""
    if slots and slots[0].kind == "job":
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
