"""Starting runs: what may go where, and what has to come away from there again."""

from __future__ import annotations

import time
from collections.abc import Iterator

from engine.control.hosts.fleet import Fleet
from engine.control.hosts.preparing import Preparing
from engine.control.ledger import transitions
from engine.control.ledger.bundles import Bundles
from engine.control.ledger.ledger import Ledger
from engine.control.ledger.results import Results
from engine.control.scheduling.caps import used_s, used_up
from engine.control.scheduling.placement import Candidate, HostLoad, Start, place
from engine.control.scheduling.run_order import runs_to_start
from engine.control.slots import Slot, slots_for
from engine.errors import KituiError
from engine.records.states import ALL_HOSTS, LOCAL, RunState, RunStatus, SweepState
from engine.records.workspace import Workspace, write_json

Runs = dict[str, RunState]
PAUSE_AFTER_FAULT_S = 10.0
_BEFORE_A_MOVE_S = 30.0
"""A run in a cluster's queue is left there so long, before it is taken to another host that has room."""


class Dispatch:
    """Starts the runs whose turn it is, on the hosts that have room."""

    def __init__(
        self,
        workspace: Workspace,
        ledger: Ledger,
        bundles: Bundles,
        results: Results,
        fleet: Fleet,
        preparing: Preparing,
    ) -> None:
        self._workspace, self._ledger, self._bundles, self._results = workspace, ledger, bundles, results
        self._fleet, self._preparing = fleet, preparing
        self.not_before_s = 0.0
        self._disk_left: dict[str, float] = {}
        self._trials: set[str] = set()
        """Hosts that were set aside, and may be tried with one run in this round."""

    def start_runs(self) -> None:
        """Fill free slots, each run where it will end soonest."""
        if time.monotonic() < self.not_before_s:
            return
        now_s = time.time()
        self._end_what_is_over_its_cap(now_s)
        running = self._running()
        loads = [self._load(h, running.get(h, {}), now_s) for h in self._fleet.wanted() if self._fleet.is_open(h)]
        self._trials = {host for host in self._fleet.wanted() if self._fleet.is_on_trial(host)}
        loads += [self._load(host, {}, now_s) for host in sorted(self._trials)]
        self._say_what_is_too_wide(loads)
        self._look_at_disks()
        if not any(load.num_free() for load in loads):
            return
        load_of = {load.host: load for load in loads}
        candidates = self._candidates(load_of, now_s)
        started = [start for start in place(candidates, loads, now_s) if self._start(start, now_s)]
        fit = {host: load for host, load in load_of.items() if self._fleet.is_open(host)}
        self._move_from_queues(fit, started, running, now_s)

    # What may go where

    def _running(self) -> dict[str, Runs]:
        """Runs that hold slots, by host."""
        by_host: dict[str, Runs] = {}
        for run_id, run in self._ledger.runs.items():
            if run.is_running:
                by_host.setdefault(run.host, {})[run_id] = run
        return by_host

    def _load(self, host: str, running: Runs, now_s: float) -> HostLoad:
        """A host's slots, and when they fall free."""
        busy_until_s: dict[str, float] = {}
        queue_s = 0.0
        for run_id, run in running.items():
            seconds = self._seconds(run_id, host)
            started_s = run.started_s or now_s
            end_s = max(started_s + seconds, now_s + 0.1 * seconds)
            busy_until_s.update(dict.fromkeys(run.slots, end_s))
            if run.waiting:
                queue_s = max(queue_s, now_s - started_s)
        return HostLoad(host, tuple(self._fleet.slots(host)), busy_until_s, queue_s)

    def _seconds(self, run_id: str, host: str) -> float:
        """How long a run of an active sweep should take on a host."""
        times = (self._bundles.run_times(name) for name, sweep in self._ledger.sweeps.items() if sweep.active)
        return next((one.seconds(run_id, host) for one in times if one.has(run_id)), 0.0)

    def _candidates(self, loads: dict[str, HostLoad], now_s: float) -> Iterator[Candidate]:
        ready: dict[str, list[str]] = {}
        left_s: dict[tuple[str, str], float | None] = {}
        for name, sweep in self._ledger.sweeps.items():
            wanted = [host for host in loads if sweep.active and host in sweep.hosts]
            ready[name] = [host for host in wanted if self._preparing.is_ready(host, name)]
            for host in ready[name]:
                left_s[name, host] = self._left_of_cap_s(sweep, host, now_s)

        def where(name: str, run_id: str) -> dict[str, float]:
            num = self._bundles.spec(name, run_id).num_processes
            times = self._bundles.run_times(name)
            fitting = [h for h in ready[name] if slots_for(num, loads[h].slots)]
            within = [h for h in fitting if _fits(left_s[name, h], num * (times.measured_s(run_id, h) or 0.0))]
            if LOCAL in within and not self._fits_on_disk(name, run_id):
                within.remove(LOCAL)
            within = [h for h in within if h not in self._trials or not self._fleet.has_failed_on(h, run_id)]
            chosen = self._choice(within, ready[name], self._ledger.sweeps[name], self._ledger.runs[run_id])
            return {host: times.seconds(run_id, host) for host in chosen}

        sweeps = {name: sweep for name, sweep in self._ledger.sweeps.items() if ready[name]}
        for name, run_id, hosts in runs_to_start(sweeps, self._ledger.runs, self._results.has, where):
            yield Candidate(name, run_id, self._bundles.spec(name, run_id).num_processes, hosts)

    def _choice(self, within: list[str], ready: list[str], sweep: SweepState, run: RunState) -> list[str]:
        """Of the hosts that are ready and within their caps: the one that a run was moved to, or that has its
        checkpoint, where there is such a one; it is waited for while it is only not ready yet."""
        usable = {h for h in sweep.hosts if self._fleet.is_open(h) and h not in sweep.host_faults} | (
            self._trials.intersection(sweep.hosts) - {*sweep.host_faults}
        )
        if run.moved_to in usable:
            return [run.moved_to] if run.moved_to in within else []
        last = run.trained_on
        if last in usable and (self._fleet.slots(last) or not self._fleet.is_met(last)):
            if last in within:
                return [last]
            return within if last in ready else []
        return within

    def _say_what_is_too_wide(self, loads: list[HostLoad]) -> None:
        """Put down where a sweep has runs that are to hold more slots than any of its hosts has."""
        for name, sweep in self._ledger.sweeps.items():
            theirs = [load for load in loads if load.host in sweep.hosts and load.slots]
            if not (sweep.active and sweep.prepared and theirs):
                continue
            most = self._bundles.run_times(name).most_processes
            fits = any(slots_for(most, load.slots) for load in theirs)
            words = "" if fits else f"runs of {most} processes: no host has so many slots"
            if words != sweep.too_wide:
                self._ledger.change_sweep(name).too_wide = words

    # Disk

    def _fits_on_disk(self, name: str, run_id: str) -> bool:
        left = self._disk_left.get(name)
        own = self._ledger.runs[run_id].kept_bytes  # what it takes up already is part of what it will take
        return left is None or self._bundles.run_times(name).training_disk_bytes(run_id) <= left + own

    def _left_on_disk(self, sweep: SweepState) -> float:
        """Bytes of this machine's disk that are left of what a sweep may take."""
        times, left = self._bundles.run_times(sweep.name), float(sweep.max_disk_bytes or 0)
        for run_id in sweep.run_ids:
            run = self._ledger.runs[run_id]
            trains_here = run.is_running and run.host == LOCAL
            left -= times.training_disk_bytes(run_id) if trains_here else run.kept_bytes
        return left

    def _look_at_disks(self) -> None:
        """What each sweep with a limit may still take; put down where no run of it can be started for that."""
        self._disk_left = {}
        for name, sweep in self._ledger.sweeps.items():
            if sweep.max_disk_bytes is None or LOCAL not in sweep.hosts or not (sweep.active and sweep.prepared):
                continue
            self._disk_left[name] = self._left_on_disk(sweep)
            waiting = [run_id for run_id in sweep.run_ids if self._ledger.runs[run_id].status is RunStatus.QUEUED]
            is_full = waiting and not any(self._fits_on_disk(name, run_id) for run_id in waiting)
            mend = "launch it again with a larger execution.max_disk_bytes, or kitui clean --weights"
            words = f"its runs may take {sweep.max_disk_bytes:,} bytes of the disk, and another would take more: {mend}"
            words = words if is_full and not any(self._ledger.runs[r].is_running for r in sweep.run_ids) else ""
            if words != sweep.disk_full:
                self._ledger.change_sweep(name).disk_full = words

    # Caps

    def _left_of_cap_s(self, sweep: SweepState, host: str, now_s: float) -> float | None:
        """Slot-seconds that a new run may take there; None without a cap. What runs should still take is taken off."""
        lefts = [self._left_s(sweep, cap, now_s) for cap in (host, ALL_HOSTS) if cap in sweep.caps]
        return min(lefts, default=None)

    def _left_s(self, sweep: SweepState, cap: str, now_s: float) -> float:
        left = 3600 * sweep.caps[cap] - used_s(sweep, cap, self._ledger.runs, now_s)
        for run_id in sweep.run_ids:
            run = self._ledger.runs[run_id]
            if run.is_running and cap in (run.host, ALL_HOSTS):
                expected_s = self._bundles.run_times(sweep.name).measured_s(run_id, run.host) or 0.0
                left -= max(0.0, (run.started_s or now_s) + expected_s - now_s) * run.num_processes
        return left

    def _end_what_is_over_its_cap(self, now_s: float) -> None:
        for sweep in self._ledger.sweeps.values():
            over = used_up(sweep, self._ledger.runs, now_s) if sweep.active and sweep.caps else {}
            for run_id in sweep.run_ids if over else ():
                run = self._ledger.runs[run_id]
                ends = run.is_running and (run.host in over or ALL_HOSTS in over) and not run.requeue
                if ends and not self._is_wanted_there(run_id, run.host, sweep, now_s):
                    transitions.give_back(self._ledger, run_id)

    def _is_wanted_there(self, run_id: str, host: str, besides: SweepState, now_s: float) -> bool:
        """Whether another sweep, within its own cap, wants a run on this host."""
        return any(
            other.active
            and host in other.hosts
            and self._bundles.run_times(name).has(run_id)
            and not {host, ALL_HOSTS} & {*used_up(other, self._ledger.runs, now_s)}
            for name, other in self._ledger.sweeps.items()
            if other is not besides
        )

    # Starting and moving

    def _start(self, start: Start, now_s: float) -> bool:
        """Start a run; False where those started before it in this round have left too little of its sweep's cap."""
        run_id, slot = start.run_id, start.slot
        left_s = self._left_of_cap_s(self._ledger.sweeps[start.sweep], start.host, now_s)
        expected_s = self._bundles.run_times(start.sweep).measured_s(run_id, start.host) or 0.0
        if not _fits(left_s, slot.num_processes * expected_s):
            return False
        if start.host == LOCAL and not self._fits_on_disk(start.sweep, run_id):
            return False
        was_set_aside = not self._fleet.is_open(start.host)
        if was_set_aside and start.host not in self._trials:  # another run is on trial there since
            return False
        self._trials.discard(start.host)
        if start.host == LOCAL and start.sweep in self._disk_left:
            run = self._ledger.runs[run_id]
            self._disk_left[start.sweep] -= (
                self._bundles.run_times(start.sweep).training_disk_bytes(run_id) - run.kept_bytes
            )
        folder, launcher = self._workspace.run(run_id), self._fleet.launcher(start.host)
        assert launcher is not None
        try:
            spec = self._bundles.spec(start.sweep, run_id)
            folder.root.mkdir(mode=0o700, exist_ok=True)
            write_json(folder.spec, spec.model_dump(mode="json"))
            # Durable before it happens: a supervisor killed in between finds a run to adopt, not one to start twice.
            attempt = transitions.start(
                self._ledger,
                run_id,
                host=start.host,
                slot=slot.name,
                num_processes=slot.num_processes,
                evaluation_id=spec.evaluation_id,
            )
            self._ledger.flush()
            launcher.start(folder, slot, attempt)
        except KituiError as error:
            transitions.end(self._ledger, run_id, RunStatus.FAILED, str(error))
        except OSError as error:
            # A full disk, mostly. The run keeps its place, and all wait a little.
            reason = f"not started: {error.strerror}: {error.filename}"
            transitions.end(self._ledger, run_id, RunStatus.QUEUED, reason)
            self.not_before_s = time.monotonic() + PAUSE_AFTER_FAULT_S
        return True

    def _move_from_queues(
        self, loads: dict[str, HostLoad], started: list[Start], running: dict[str, Runs], now_s: float
    ) -> None:
        """Take runs out of clusters' queues that would end sooner on slots which nothing else wants."""
        taken = {(start.host, name) for start in started for name in start.slot.name.split("+")}
        free = {
            host: [slot for slot in load.slots if slot.name not in load.busy_until_s and (host, slot.name) not in taken]
            for host, load in loads.items()
        }
        waiting = {run_id: run for runs in running.values() for run_id, run in runs.items() if run.waiting}
        for run in waiting.values():  # on their way there already
            if run.requeue and run.moved_to in free:
                del free[run.moved_to][: run.num_processes]
        for run_id, run in sorted(waiting.items(), key=lambda item: item[1].started_s or 0.0):
            waited_s = now_s - (run.started_s or now_s)
            bound = run.requeue or run.ending or run.moved_to or run.trained_on == run.host
            if bound or waited_s < _BEFORE_A_MOVE_S:
                continue
            target = self._sooner(run_id, run, free, waited_s, now_s)
            if target is not None:
                transitions.give_back(self._ledger, run_id, moved_to=target)
                del free[target][: run.num_processes]

    def _sooner(
        self, run_id: str, run: RunState, free: dict[str, list[Slot]], waited_s: float, now_s: float
    ) -> str | None:
        """A host with free slots where a run that waits in a queue may go, and would end sooner."""
        bound_s = waited_s + self._seconds(run_id, run.host)
        for name, sweep in self._ledger.sweeps.items():
            if not sweep.active or not self._bundles.run_times(name).has(run_id):
                continue
            for host in [host for host in sweep.hosts if host != run.host and free.get(host)]:
                seconds = self._seconds(run_id, host)
                left_s = self._left_of_cap_s(sweep, host, now_s)
                fits = slots_for(run.num_processes, free[host]) and _fits(
                    left_s, run.num_processes * seconds if left_s is not None else 0.0
                )
                fits = fits and (host != LOCAL or self._fits_on_disk(name, run_id))
                if fits and self._preparing.is_ready(host, name) and seconds < bound_s:
                    return host
        return None


def _fits(left_s: float | None, seconds: float) -> bool:
    return left_s is None or left_s > seconds
