"""All hosts that the supervisor has to do with: this machine, and those of `hosts.toml` that a sweep asks for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from engine.control.hosts.config import LOCAL, hosts_of, known_host, read_hosts
from engine.control.launchers.base import Launcher, Slot
from engine.control.launchers.local import LocalLauncher
from engine.control.launchers.remote import Contact, RemoteLauncher
from engine.control.store import Store
from engine.control.transport.local_process import way_to
from engine.errors import KituiError
from engine.records.bundle import SweepBundle
from engine.records.record import plain
from engine.records.results import read_plan
from engine.records.workspace import Workspace, write_json

_AGAIN_S = 10.0
_FAULTS_IN_A_ROW = 3
_UNKNOWN = {"slots": 0, "unreachable_since_s": None, "fault": "", "kind": LOCAL}
_LOCAL = (LOCAL,)


class Fleet:
    """Launchers by host, each made when it is first needed."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self._workspace, self._store = workspace, store
        self._local = LocalLauncher(workspace)
        self._remote: dict[str, RemoteLauncher] = {}
        self._not_before_s: dict[str, float] = {}
        self._seen: int | None = None

    def look(self) -> None:
        """Take in `hosts.toml` where it was changed: a host whose table is another is met anew."""
        try:
            seen = (self._workspace.root / "hosts.toml").stat().st_mtime_ns
        except OSError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        self._not_before_s.clear()
        try:
            known = read_hosts(self._workspace)
        except KituiError:  # half-written, perhaps: what is known goes on
            return
        for name in [n for n, launcher in self._remote.items() if known.get(n) != launcher.host]:
            self._remote.pop(name).close()
        for name in [n for n in self._store.hosts if n not in known and n != LOCAL]:
            self._store.remove("hosts", name)

    def launcher(self, host: str) -> Launcher | None:
        """The launcher of a host; None where `hosts.toml` says nothing of it that could be used. What is wrong stands
        in the state then, and the file is looked at again in a while."""
        return self._local if host == LOCAL else self._of(host)

    def _of(self, host: str) -> RemoteLauncher | None:
        if host not in self._remote and time.monotonic() >= self._not_before_s.get(host, 0.0):
            try:
                known = known_host(self._workspace, host)
                self._remote[host] = RemoteLauncher(self._workspace, known, way_to(known))
            except KituiError as error:
                self._not_before_s[host] = time.monotonic() + _AGAIN_S
                self._put(host, slots=0, unreachable_since_s=None, fault=str(error))
        return self._remote.get(host)

    def is_gone(self, host: str) -> bool:
        """Whether `hosts.toml` can be read, and has no such host."""
        try:
            return host not in read_hosts(self._workspace)
        except KituiError:
            return False

    def wanted(self) -> list[str]:
        """The hosts of active sweeps, this machine first."""
        names = {host for sweep in self._store.sweeps.values() if sweep["active"] for host in hosts_of(sweep)}
        return sorted(names, key=lambda name: (name != LOCAL, name))

    def slots(self, host: str) -> list[Slot]:
        """The slots of a host, as far as it is known and answers."""
        launcher = self.launcher(host)
        return [] if launcher is None else launcher.slots(self._slots_here())

    def is_met(self, host: str) -> bool:
        """Whether it is known by now how a host stands."""
        if host == LOCAL:
            return True
        launcher = self._of(host)
        return launcher is None or launcher.contact != Contact()

    def is_open(self, host: str) -> bool:
        """Whether runs are to be started there: it is neither drained nor set aside."""
        known = self._store.hosts.get(host, {})
        return not (known.get("drained") or known.get("set_aside"))

    def mark(self, host: str, **fields: Any) -> None:
        """Put something down about a host, whether it was met already or not."""
        self._store.put("hosts", host, **({} if host in self._store.hosts else _UNKNOWN), **fields)

    def book(self, host: str, run_id: str, fault: str) -> None:
        """Count a run's end there: after some faults in a row the host is set aside, with the last one's words, and
        the runs that failed so are queued again, for other hosts."""
        known = self._store.hosts.get(host, {})
        failed = [*known.get("failed", []), run_id][-_FAULTS_IN_A_ROW:] if fault else []
        if failed == known.get("failed", []):
            return
        self.mark(host, failed=failed)
        elsewhere = [
            sweep
            for sweep in self._store.sweeps.values()
            if sweep["active"] and any(self.is_open(other) for other in hosts_of(sweep) if other != host)
        ]
        if len(failed) < _FAULTS_IN_A_ROW or (host == LOCAL and not elsewhere) or known.get("set_aside"):
            return
        words = f"set aside after {len(failed)} failures in a row, the last: {fault}"
        self._store.put("hosts", host, set_aside=words)
        for name in failed:
            run = self._store.runs.get(name)  # its sweep may have been deleted
            if run is not None and run["state"] in ("failed", "lost") and any(name in s["run_ids"] for s in elsewhere):
                self._store.put("runs", name, state="queued", failures=0, reason=f"failed on {host}: {run['reason']}")

    def num_slots(self, sweep: Mapping[str, Any]) -> int:
        """How many slots a sweep's runs hold at once, as far as its hosts are known."""
        launchers = [launcher for host in hosts_of(sweep) if (launcher := self.launcher(host)) is not None]
        only_here = hosts_of(sweep) == _LOCAL
        wanted = sweep["slots"] * sweep.get("most_processes", 1) if sweep["slots"] else None
        there = sum(len(launcher.slots(wanted if only_here else None)) for launcher in launchers)
        return max(1, min(there, wanted or there))

    def _slots_here(self) -> int | None:
        """How many runs at once this machine was asked for, by sweeps that run nowhere else."""
        sweeps = [s for s in self._store.sweeps.values() if s["active"] and hosts_of(s) == _LOCAL]
        return max((s["slots"] * s.get("most_processes", 1) for s in sweeps if s["slots"]), default=None)

    # Preparing elsewhere

    def waits_for_this_machine(self, sweep: Mapping[str, Any]) -> bool:
        """Whether a sweep's token files are still to be made here."""
        here = LOCAL in hosts_of(sweep) and not sweep.get("ready_here", sweep["prepared"])
        return here and LOCAL not in sweep.get("host_faults", {})

    def prepared_here(self, name: str, fault: str | None) -> None:
        """Take in how the preparation on this machine ended: a sweep with other hosts goes on without it."""
        sweep = self._store.sweeps[name]
        if fault and hosts_of(sweep) != _LOCAL:
            self._store.put("sweeps", name, host_faults=sweep.get("host_faults", {}) | {LOCAL: fault})
            return
        self._store.put("sweeps", name, prepared=not fault, prepare_error=fault, active=not fault, ready_here=not fault)

    def prepare(self, name: str, sweep: Mapping[str, Any], bundle: SweepBundle) -> None:
        """Have a sweep's token files made on its other hosts, and take over what came of that."""
        known: Mapping[str, str] = sweep.get("host_faults", {})
        faults = {host: words for host, words in known.items() if host == LOCAL}
        for host in [host for host in hosts_of(sweep) if host != LOCAL]:
            launcher = self._of(host)
            if launcher is None:
                continue
            launcher.prepare(bundle, attempt=round(1000 * (sweep.get("asked_s") or sweep["launched_s"])))
            ready, fault = launcher.prepared(name)
            if fault:
                faults[host] = fault
            elif ready and sweep["prepared"] is None:
                folder = self._workspace.sweep(name)
                made = read_plan(folder.root / f"on-{host}" / "plan.json")
                if made is None:
                    faults[host] = "the preparation left no plan"
                    continue
                write_json(folder.plan, plain(made))
                self._store.put("sweeps", name, prepared=True, prepare_error=None)
        if faults != known:
            self._store.put("sweeps", name, host_faults=faults)
        if faults and len(faults) == len(hosts_of(sweep)):
            words = "; ".join(f"{host}: {fault}" for host, fault in faults.items())
            self._store.put("sweeps", name, prepared=False, prepare_error=words, active=False)

    def is_ready(self, host: str, name: str) -> bool:
        """Whether a sweep's token files are on this host."""
        if host == LOCAL:
            sweep = self._store.sweeps[name]
            return bool(sweep.get("ready_here", sweep["prepared"]))
        launcher = self._of(host)
        return launcher is not None and launcher.prepared(name)[0]

    # Removing what deleted sweeps leave there

    def discard(self, host: str, names: list[str]) -> None:
        """Have these folders of a host removed, now or when it answers next."""
        if host != LOCAL and not self.is_gone(host):
            known = self._store.hosts.get(host, {}).get("discarded", [])
            self.mark(host, discarded=sorted({*known, *names}))

    def tidy(self) -> None:
        for host, known in list(self._store.hosts.items()):
            if known.get("discarded"):
                launcher = self._of(host)
                if launcher is not None and launcher.discard(known["discarded"]):
                    launcher.forget_discarded()
                    self._store.put("hosts", host, discarded=[])

    def is_tidying(self) -> bool:
        """Whether something is still to be removed on a host that answers."""
        return any(
            known.get("discarded") and host in self._remote and not self._remote[host].contact.fault
            for host, known in self._store.hosts.items()
        )

    def drop(self, name: str) -> None:
        for launcher in self._remote.values():
            launcher.drop(name)

    # Keeping the state

    def note(self) -> None:
        """Put down what is known of the hosts, where it is something else than before."""
        for name, launcher in self._remote.items():
            contact = launcher.contact
            self._put(
                name,
                slots=len(contact.slots),
                unreachable_since_s=contact.unreachable_since_s,
                fault=contact.fault,
                kind=launcher.host.kind,
            )

    def _put(self, name: str, **fields: Any) -> None:
        known = self._store.hosts.get(name, {})
        if any(known.get(key, self) != value for key, value in fields.items()):
            self._store.put("hosts", name, **fields)

    def close(self) -> None:
        self._local.close()
        for launcher in self._remote.values():
            launcher.close()
