"""All hosts that the supervisor has to do with: a launcher each, made when it is first needed."""

from __future__ import annotations

import time

from engine.control.launchers.base import Launcher
from engine.control.launchers.registry import launcher_of
from engine.control.ledger import transitions
from engine.control.ledger.ledger import Ledger
from engine.control.slots import Slot
from engine.errors import KituiError
from engine.records.hosts import known_host, known_hosts
from engine.records.states import LOCAL, RunStatus, SweepState
from engine.records.workspace import Workspace

_AGAIN_S = 10.0
_FAULTS_IN_A_ROW = 3
_TRY_AGAIN_S = 60.0
"""A host that was set aside is given one run again and again, so long after the last one has failed there."""


class Fleet:
    """All hosts: their launchers, what is known of them, and which may be given runs."""

    def __init__(self, workspace: Workspace, ledger: Ledger) -> None:
        self._workspace, self._ledger = workspace, ledger
        self._launchers: dict[str, Launcher] = {}
        self._not_before_s: dict[str, float] = {}
        self._read_at_ns: int | None = None

    def look(self) -> None:
        """Take in `hosts.toml` where it was changed: a host whose table is another is met anew."""
        try:
            changed_at_ns: int | None = (self._workspace.root / "hosts.toml").stat().st_mtime_ns
        except OSError:
            changed_at_ns = None
        if changed_at_ns == self._read_at_ns:
            return
        self._read_at_ns = changed_at_ns
        self._not_before_s.clear()
        try:
            known = known_hosts(self._workspace)
        except KituiError:  # half-written, perhaps: what is known goes on
            return
        for name in [n for n, launcher in self._launchers.items() if known.get(n) != launcher.host]:
            self._launchers.pop(name).close()
        for name in [n for n in self._ledger.hosts if n not in known]:
            self._ledger.remove_host(name)

    def launcher(self, host: str) -> Launcher | None:
        """The launcher of a host; None where `hosts.toml` says nothing of it that could be used. What is wrong stands
        in the state then, and the file is looked at again in a while."""
        if host not in self._launchers and time.monotonic() >= self._not_before_s.get(host, 0.0):
            try:
                self._launchers[host] = launcher_of(self._workspace, known_host(self._workspace, host))
            except KituiError as error:
                self._not_before_s[host] = time.monotonic() + _AGAIN_S
                self._note(host, num_slots=0, unreachable_since_s=None, fault=str(error))
        return self._launchers.get(host)

    def known_launcher(self, host: str) -> Launcher | None:
        """The launcher of a host that the supervisor has to do with already."""
        return self._launchers.get(host)

    def is_gone(self, host: str) -> bool:
        """Whether `hosts.toml` can be read, and has no such host."""
        try:
            return host not in known_hosts(self._workspace)
        except KituiError:
            return False

    def wanted(self) -> list[str]:
        """The hosts of active sweeps, this machine first."""
        names = {host for sweep in self._ledger.sweeps.values() if sweep.active for host in sweep.hosts}
        return sorted(names, key=lambda name: (name != LOCAL, name))

    def slots(self, host: str) -> list[Slot]:
        """The slots of a host that runs may be started on now, as far as it is known and answers."""
        launcher = self.launcher(host)
        return [] if launcher is None else launcher.slots(self._asked_for(host))

    def is_met(self, host: str) -> bool:
        """Whether it is known by now how a host stands."""
        launcher = self.launcher(host)
        return launcher is None or launcher.contact.is_met

    def is_open(self, host: str) -> bool:
        """Whether runs are to be started there: it is neither drained nor set aside."""
        known = self._ledger.hosts.get(host)
        return known is None or known.is_open

    def is_on_trial(self, host: str) -> bool:
        """Whether one run is to be started there to see if it is fit again: a host that failed is not left for good."""
        known = self._ledger.hosts.get(host)
        if known is None or known.drained or not known.set_aside or time.time() - known.tried_s < _TRY_AGAIN_S:
            return False
        return not any(run.is_running and run.host == host for run in self._ledger.runs.values())

    def book(self, host: str, run_id: str, fault: str) -> None:
        """Count a run's end there: after some faults in a row the host is set aside, with the last one's words, and
        the runs that failed so are queued again, for other hosts."""
        known = self._ledger.hosts.get(host)
        before = known.failed if known is not None else ()
        failed = (*before, run_id)[-_FAULTS_IN_A_ROW:] if fault else ()
        if known is not None and known.set_aside:
            state = self._ledger.change_host(host)
            state.failed, state.tried_s = failed, time.time()
            if not fault:  # the run on trial went well
                state.set_aside = ""
            return
        if failed == before:
            return
        state = self._ledger.change_host(host)
        state.failed = failed
        elsewhere = [
            sweep
            for sweep in self._ledger.sweeps.values()
            if sweep.active and any(self.is_open(other) for other in sweep.hosts if other != host)
        ]
        if len(failed) < _FAULTS_IN_A_ROW or (host == LOCAL and not elsewhere):
            return
        state.tried_s = time.time()
        state.set_aside = f"set aside after {len(failed)} failures in a row, the last: {fault}"
        for name in failed:
            run = self._ledger.runs.get(name)  # its sweep may have been deleted
            failed_here = run is not None and run.status in (RunStatus.FAILED, RunStatus.LOST)
            if run is not None and failed_here and any(name in sweep.run_ids for sweep in elsewhere):
                transitions.queue(self._ledger, name, f"failed on {host}: {run.reason}")

    def has_failed_on(self, host: str, run_id: str) -> bool:
        """Whether the run is one of those that failed last there: another one is to show whether the host is fit."""
        known = self._ledger.hosts.get(host)
        return known is not None and run_id in known.failed and len(self._ledger.runs) > len(known.failed)

    def num_slots(self, sweep: SweepState) -> int:
        """How many slots a sweep's runs hold at once, as far as its hosts are known."""
        launchers = [launcher for host in sweep.hosts if (launcher := self.launcher(host)) is not None]
        wanted = sweep.slots * sweep.most_processes if sweep.slots else None
        there = sum(len(launcher.slots(wanted if len(sweep.hosts) == 1 else None)) for launcher in launchers)
        return max(1, min(there, wanted or there))

    def _asked_for(self, host: str) -> int | None:
        """How many slots a host was asked for, by sweeps whose runs go nowhere else."""
        only = [s for s in self._ledger.sweeps.values() if s.active and s.hosts == (host,)]
        return max((s.slots * s.most_processes for s in only if s.slots), default=None)

    # Removing what deleted sweeps leave there

    def discard(self, host: str, names: list[str]) -> None:
        """Have these folders of a host removed, now or when it answers next."""
        if not self.is_gone(host):
            state = self._ledger.change_host(host)
            state.discarded = tuple(sorted({*state.discarded, *names}))

    def tidy(self) -> None:
        for host, known in list(self._ledger.hosts.items()):
            if known.discarded:
                launcher = self.launcher(host)
                if launcher is not None and launcher.discard(list(known.discarded)):
                    launcher.forget_discarded()
                    self._ledger.change_host(host).discarded = ()

    def is_tidying(self) -> bool:
        """Whether something is still to be removed on a host that answers."""
        return any(
            known.discarded and host in self._launchers and not self._launchers[host].contact.fault
            for host, known in self._ledger.hosts.items()
        )

    # Keeping the state

    def note(self) -> None:
        """Put down what is known of the hosts, where it is something else than before."""
        for name, launcher in self._launchers.items():
            contact = launcher.contact
            self._note(name, len(contact.slots), contact.unreachable_since_s, contact.fault)

    def _note(self, name: str, num_slots: int, unreachable_since_s: float | None, fault: str) -> None:
        host, now = self._ledger.hosts.get(name), (num_slots, unreachable_since_s, fault)
        if host is None or (host.slots, host.unreachable_since_s, host.fault) != now:
            state = self._ledger.change_host(name)
            state.slots, state.unreachable_since_s, state.fault = now

    def close(self) -> None:
        for launcher in self._launchers.values():
            launcher.close()
