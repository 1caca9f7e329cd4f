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

from engine.control.launchers.base import Slot, combined, slots_for


class Room(NamedTuple):
    """A host as it stands. `busy_until_s`: by slot, when the run that holds it should end. `queue_s`: how long a run
    waits there for its turn in a cluster's queue."""

    host: str
    slots: tuple[Slot, ...]
    busy_until_s: dict[str, float]
    queue_s: float = 0.0

    def num_free(self) -> int:
        return sum(slot.name not in self.busy_until_s for slot in self.slots)


class Wish(NamedTuple):
    """A run that is to start. `seconds`: by host where it may go, how long it should take there."""

    sweep: str
    run_id: str
    num_processes: int
    seconds: Mapping[str, float]


class Placed(NamedTuple):
    sweep: str
    run_id: str
    host: str
    slot: Slot


def place(wishes: Iterable[Wish], rooms: Iterable[Room], now_s: float) -> list[Placed]:
    """Which runs start now, and where. Where two hosts are as good, the first."""
    known = {room.host: room._replace(busy_until_s=dict(room.busy_until_s)) for room in rooms}
    num_free = sum(room.num_free() for room in known.values())
    placed = []
    for wish in wishes:
        if num_free <= 0:
            break
        best: tuple[float, float, Room, list[Slot]] | None = None
        for host, seconds in wish.seconds.items():
            room = known[host]
            until = room.busy_until_s
            slots = slots_for(wish.num_processes, sorted(room.slots, key=lambda slot: until.get(slot.name, now_s)))
            if not slots:
                continue
            start_s = max(max(until.get(slot.name, now_s), now_s) for slot in slots)
            end_s = start_s + room.queue_s + seconds
            if best is None or end_s < best[0]:
                best = (end_s, start_s, room, slots)
        if best is None:
            continue
        end_s, _, room, slots = best
        free = [slot for slot in slots if slot.name not in room.busy_until_s]
        num_free -= len(free)
        if len(free) == len(slots):
            placed.append(Placed(wish.sweep, wish.run_id, room.host, combined(slots, wish.num_processes)))
        for slot in slots:
            room.busy_until_s[slot.name] = end_s
    return placed
