"""Where runs go: each to the host where, by the forecast, it will end soonest.

Runs are taken in turn. Each holds, on every host where it may go, the slots that are free first; it goes where it would
end first, and waits where those slots are still taken: the next run then sees them taken up to its end. So a quick host
that is soon free is waited for, a slow one is used while that is far off, and a run of several processes gets its
slots although smaller ones could take each as it falls free. This is list scheduling by earliest finish time (Topcuoglu
et al. 2002, doi:10.1109/71.993206, for tasks without dependencies).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from engine.control.slots import Slot, combined, slots_for


class HostLoad(NamedTuple):
    """A host as it stands. `busy_until_s`: by slot, when the run that holds it should end. `queue_s`: how long a run
    waits there for its turn in a cluster's queue."""

    host: str
    slots: tuple[Slot, ...]
    busy_until_s: dict[str, float]
    queue_s: float = 0.0

    def num_free(self) -> int:
        return sum(slot.name not in self.busy_until_s for slot in self.slots)


class Candidate(NamedTuple):
    """A run that is to start. `seconds`: by host where it may go, how long it should take there."""

    sweep: str
    run_id: str
    num_processes: int
    seconds: Mapping[str, float]


class Start(NamedTuple):
    """A run that starts now, and what it holds there."""

    sweep: str
    run_id: str
    host: str
    slot: Slot


def place(candidates: Iterable[Candidate], loads: Iterable[HostLoad], now_s: float) -> list[Start]:
    """Which runs start now, and where. Where two hosts are as good, the first."""
    known = {load.host: load._replace(busy_until_s=dict(load.busy_until_s)) for load in loads}
    num_free = sum(load.num_free() for load in known.values())
    starts = []
    for candidate in candidates:
        if num_free <= 0:
            break
        best: tuple[float, float, HostLoad, list[Slot]] | None = None
        for host, seconds in candidate.seconds.items():
            load = known[host]
            until = load.busy_until_s
            slots = slots_for(candidate.num_processes, sorted(load.slots, key=lambda slot: until.get(slot.name, now_s)))
            if not slots:
                continue
            start_s = max(max(until.get(slot.name, now_s), now_s) for slot in slots)
            end_s = start_s + load.queue_s + seconds
            if best is None or end_s < best[0]:
                best = (end_s, start_s, load, slots)
        if best is None:
            continue
        end_s, _, load, slots = best
        free = [slot for slot in slots if slot.name not in load.busy_until_s]
        num_free -= len(free)
        if len(free) == len(slots):
            starts.append(Start(candidate.sweep, candidate.run_id, load.host, combined(slots, candidate.num_processes)))
        for slot in slots:
            load.busy_until_s[slot.name] = end_s
    return starts
