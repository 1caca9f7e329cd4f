"""Starting runs: what may go where, and what has to come away from there again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.control.hosts.config import host_of, hosts_of
from engine.control.launchers.base import Slot, slots_for
from engine.control.scheduling.caps import used_s, used_up
from engine.control.scheduling.placement import Placed, Room, Wish, place
from engine.control.scheduling.run_order import in_turn
from engine.errors import KituiError
from engine.records.workspace import write_json

if TYPE_CHECKING:
    from engine.control.supervisor import Supervisor

Run = dict[str, Any]
Runs = dict[str, Run]
PAUSE_AFTER_FAULT_S = 10.0
_BEFORE_A_MOVE_S = 30.0
"""A run in a cluster's queue is left there so long, before it is taken to another host that has room."""


class Dispatch:
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._store, self._fleet = supervisor.store, supervisor.fleet
        self.not_before_s = 0.0

    def start_runs(self) -> None:
        """Fill free slots, each run where it will end soonest."""
        if time.monotonic() < self.not_before_s:
            return
        self._supervisor.drop_unreadable()
        now_s = time.time()
        self._end_what_is_over_its_cap(now_s)
        running = self._running()
        rooms = [self._room(h, running.get(h, {}), now_s) for h in self._fleet.wanted() if self._fleet.is_open(h)]
        self._say_what_is_too_wide(rooms)
        if not any(room.num_free() for room in rooms):
            return
        place_for = {room.host: room for room in rooms}
        wishes = self._wishes(place_for, now_s)
        started = [placed for placed in place(wishes, rooms, now_s) if self._start(placed, now_s)]
        self._move_from_queues(place_for, started, running, now_s)

    # What may go where

    def _running(self) -> dict[str, Runs]:
        """Runs that hold slots, by host."""
        by_host: dict[str, Runs] = {}
        for run_id, run in self._store.runs.items():
            if run["state"] == "running":
                by_host.setdefault(host_of(run), {})[run_id] = run
        return by_host

    def _room(self, host: str, running: Runs, now_s: float) -> Room:
        """A host's slots, and when they fall free."""
        busy_until_s, queue_s = {}, 0.0
        for run_id, run in running.items():
            seconds = self._supervisor.seconds(run_id, host)
            end_s = max(run["started_s"] + seconds, now_s + 0.1 * seconds)
            busy_until_s.update(dict.fromkeys(str(run["slot"]).split("+"), end_s))
            if run.get("waiting"):
                queue_s = max(queue_s, now_s - run["started_s"])
        return Room(host, tuple(self._fleet.slots(host)), busy_until_s, queue_s)

    def _wishes(self, rooms: dict[str, Room], now_s: float) -> Iterator[Wish]:
        ready: dict[str, list[str]] = {}
        left_s: dict[tuple[str, str], float | None] = {}
        for name, sweep in self._store.sweeps.items():
            wanted = [host for host in rooms if sweep["active"] and host in hosts_of(sweep)]
            ready[name] = [host for host in wanted if self._fleet.is_ready(host, name)]
            for host in ready[name]:
                left_s[name, host] = self._left_of_cap_s(sweep, host, now_s)

        def where(name: str, run_id: str) -> dict[str, float]:
            run, num = self._store.runs[run_id], self._supervisor.spec(name, run_id).num_processes
            pace = self._supervisor.pace(name)
            fitting = [h for h in ready[name] if slots_for(num, rooms[h].slots)]
            within = [h for h in fitting if _fits(left_s[name, h], num * (pace.measured_s(run_id, h) or 0.0))]
            chosen = self._choice(within, ready[name], self._store.sweeps[name], run)
            return {host: pace.seconds(run_id, host) for host in chosen}

        sweeps = {name: sweep for name, sweep in self._store.sweeps.items() if ready[name]}
        for name, run_id, hosts in in_turn(sweeps, self._store.runs, self._supervisor.has_result, where):
            yield Wish(name, run_id, self._supervisor.spec(name, run_id).num_processes, hosts)

    def _choice(self, within: list[str], ready: list[str], sweep: Run, run: Run) -> list[str]:
        """Of the hosts that are ready and within their caps: the one that a run was moved to, or that has its
        checkpoint, where there is such a one; it is waited for while it is only not ready yet."""
        usable = {h for h in hosts_of(sweep) if self._fleet.is_open(h) and h not in sweep.get("host_faults", {})}
        moved_to, last = run.get("moved_to"), run.get("trained_on")
        if moved_to in usable:
            return [moved_to] if moved_to in within else []
        if last in usable and (self._fleet.slots(last) or not self._fleet.is_met(last)):
            if last in within:
                return [last]
            return within if last in ready else []
        return within

    def _say_what_is_too_wide(self, rooms: list[Room]) -> None:
        """Put down where a sweep has runs that are to hold more slots than any of its hosts has."""
        for name, sweep in self._store.sweeps.items():
            theirs = [room for room in rooms if room.host in hosts_of(sweep) and room.slots]
            if not (sweep["active"] and sweep["prepared"] and theirs):
                continue
            most = self._supervisor.pace(name).most_processes
            fits = any(slots_for(most, room.slots) for room in theirs)
            words = "" if fits else f"runs of {most} processes: no host has so many slots"
            if words != sweep.get("too_wide", ""):
                self._store.put("sweeps", name, too_wide=words)

    # Caps

    def _left_of_cap_s(self, sweep: Run, host: str, now_s: float) -> float | None:
        """Slot-seconds that a new run may take; None without a cap. What runs should still take is taken off."""
        cap_hours: float | None = sweep.get("caps", {}).get(host)
        if cap_hours is None:
            return None
        left = 3600 * cap_hours - used_s(sweep, host, self._store.runs, now_s)
        for run_id in sweep["run_ids"]:
            run = self._store.runs[run_id]
            if run["state"] == "running" and host_of(run) == host:
                expected_s = self._supervisor.pace(sweep["name"]).measured_s(run_id, host)
                left -= max(0.0, run["started_s"] + (expected_s or 0.0) - now_s) * run.get("num_processes", 1)
        return left

    def _end_what_is_over_its_cap(self, now_s: float) -> None:
        for sweep in self._store.sweeps.values():
            over = used_up(sweep, self._store.runs, now_s) if sweep["active"] and sweep.get("caps") else {}
            for run_id in sweep["run_ids"] if over else ():
                run, host = self._store.runs[run_id], host_of(self._store.runs[run_id])
                ends = run["state"] == "running" and host in over and not run.get("requeue")
                if ends and not self._is_wanted_there(run_id, host, sweep, now_s):
                    self._store.put("runs", run_id, requeue=True)

    def _is_wanted_there(self, run_id: str, host: str, besides: Run, now_s: float) -> bool:
        """Whether another sweep, within its own cap, wants a run on this host."""
        return any(
            other["active"]
            and host in hosts_of(other)
            and self._supervisor.pace(name).has(run_id)
            and host not in used_up(other, self._store.runs, now_s)
            for name, other in self._store.sweeps.items()
            if other is not besides
        )

    # Starting and moving

    def _start(self, placed: Placed, now_s: float) -> bool:
        """Start a run; False where those started before it in this round have left too little of its sweep's cap."""
        run_id, slot = placed.run_id, placed.slot
        left_s = self._left_of_cap_s(self._store.sweeps[placed.sweep], placed.host, now_s)
        expected_s = self._supervisor.pace(placed.sweep).measured_s(run_id, placed.host) or 0.0
        if not _fits(left_s, slot.num_processes * expected_s):
            return False
        supervisor, folder = self._supervisor, self._supervisor.workspace.run(run_id)
        launcher = self._fleet.launcher(placed.host)
        assert launcher is not None
        attempt = self._store.runs[run_id]["attempt"] + 1
        try:
            spec = supervisor.spec(placed.sweep, run_id)
            folder.root.mkdir(mode=0o700, exist_ok=True)
            write_json(folder.spec, spec.model_dump(mode="json"))
            # Durable before it happens: a supervisor killed in between finds a run to adopt, not one to start twice.
            self._store.put(
                "runs",
                run_id,
                state="running",
                attempt=attempt,
                host=placed.host,
                slot=slot.name,
                num_processes=slot.num_processes,
                started_s=time.time(),
                evaluation_id=spec.evaluation_id,
                reason="",
            )
            self._store.flush()
            launcher.start(folder, slot, attempt)
        except KituiError as error:
            supervisor.put_end(run_id, "failed", str(error))
        except OSError as error:
            # A full disk, mostly. The run keeps its turn, and all wait a little.
            supervisor.put_end(run_id, "queued", f"not started: {error.strerror}: {error.filename}")
            self.not_before_s = time.monotonic() + PAUSE_AFTER_FAULT_S
        return True

    def _move_from_queues(
        self, rooms: dict[str, Room], started: list[Placed], running: dict[str, Runs], now_s: float
    ) -> None:
        """Take runs out of clusters' queues that would end sooner on slots which nothing else wants."""
        taken = {(p.host, name) for p in started for name in p.slot.name.split("+")}
        free = {
            host: [slot for slot in room.slots if slot.name not in room.busy_until_s and (host, slot.name) not in taken]
            for host, room in rooms.items()
        }
        waiting = {run_id: run for runs in running.values() for run_id, run in runs.items() if run.get("waiting")}
        for run in waiting.values():  # on their way there already
            if run.get("requeue") and run.get("moved_to") in free:
                del free[run["moved_to"]][: run.get("num_processes", 1)]
        for run_id, run in sorted(waiting.items(), key=lambda item: item[1]["started_s"]):
            here, waited_s = host_of(run), now_s - run["started_s"]
            bound = run.get("requeue") or run.get("ending") or run.get("moved_to") or run.get("trained_on") == here
            if bound or waited_s < _BEFORE_A_MOVE_S:
                continue
            target = self._sooner(run_id, run, free, waited_s, now_s)
            if target is not None:
                self._store.put("runs", run_id, requeue=True, moved_to=target)
                del free[target][: run.get("num_processes", 1)]

    def _sooner(self, run_id: str, run: Run, free: dict[str, list[Slot]], waited_s: float, now_s: float) -> str | None:
        """A host with free slots where a run that waits in a queue may go, and would end sooner."""
        here, num = host_of(run), run.get("num_processes", 1)
        bound_s = waited_s + self._supervisor.seconds(run_id, here)
        for name, sweep in self._store.sweeps.items():
            if not sweep["active"] or not self._supervisor.pace(name).has(run_id):
                continue
            for host in [host for host in hosts_of(sweep) if host != here and free.get(host)]:
                seconds = self._supervisor.seconds(run_id, host)
                left_s = self._left_of_cap_s(sweep, host, now_s)
                fits = slots_for(num, free[host]) and _fits(left_s, num * seconds if left_s is not None else 0.0)
                if fits and self._fleet.is_ready(host, name) and seconds < bound_s:
                    return host
        return None


def _fits(left_s: float | None, seconds: float) -> bool:
    return left_s is None or left_s > seconds
