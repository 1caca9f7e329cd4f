"""The ledger: the supervisor's own view of the state. Documents are typed and changed in memory; `flush` makes all
changes durable together. How runs go from one status to the next stands in `transitions`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from tinydb import TinyDB
from tinydb.table import Document

from engine.control.ledger.lock import STATE_FORMAT, Lock
from engine.control.ledger.state_file import FORMAT_TABLE, AtomicStorage, typed
from engine.records.states import HostState, RunState, SweepState
from engine.records.workspace import Workspace


class Ledger:
    """Sweeps, runs and hosts by name, to be read; whoever changes one asks for it by `change_…`. One process at a time:
    StateError where another one holds the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._lock = Lock(workspace)
        self._lock.acquire()
        self._storage = AtomicStorage(workspace.state)
        self._db = TinyDB(storage=lambda: self._storage)
        self._ids = {table: {doc["name"]: doc.doc_id for doc in self._db.table(table).all()} for table in _TABLES}
        """By table, under which number a document is kept."""
        found = typed(self._storage.read(), workspace.state)
        self.sweeps = {sweep.name: sweep for sweep in found.sweeps.values()}
        self.runs = {run.name: run for run in found.runs.values()}
        self.hosts = {host.name: host for host in found.hosts.values()}
        self._changed: dict[str, dict[str, None]] = {}
        """Names by table, in the order of their first change: documents are kept in that order."""
        self.newly_ended: set[str] = set()
        """Runs that have ended since the supervisor last took them in."""

    def change_sweep(self, name: str) -> SweepState:
        """The sweep, to be changed: durable after the next `flush`."""
        self._mark("sweeps", name)
        return self.sweeps[name]

    def change_run(self, run_id: str) -> RunState:
        """The run, to be changed; made where it is not there."""
        self._mark("runs", run_id)
        return self.runs.setdefault(run_id, RunState(name=run_id))

    def change_host(self, name: str) -> HostState:
        """The host, to be changed; made where it was not met yet."""
        self._mark("hosts", name)
        return self.hosts.setdefault(name, HostState(name=name))

    def put_sweep(self, sweep: SweepState) -> None:
        self._mark("sweeps", sweep.name)
        self.sweeps[sweep.name] = sweep

    def put_run(self, run: RunState) -> None:
        self._mark("runs", run.name)
        self.runs[run.name] = run

    def remove_sweep(self, name: str) -> None:
        if self.sweeps.pop(name, None) is not None:
            self._mark("sweeps", name)

    def remove_run(self, run_id: str) -> None:
        if self.runs.pop(run_id, None) is not None:
            self._mark("runs", run_id)

    def remove_host(self, name: str) -> None:
        if self.hosts.pop(name, None) is not None:
            self._mark("hosts", name)

    def sweeps_of(self, run_id: str) -> list[SweepState]:
        """The sweeps that have this run among theirs."""
        return [sweep for sweep in self.sweeps.values() if run_id in sweep.run_ids]

    def flush(self) -> None:
        """Write everything changed since the last flush, all or nothing. OSError leaves the old file as it was."""
        kept: dict[str, Mapping[str, msgspec.Struct]] = {"sweeps": self.sweeps, "runs": self.runs, "hosts": self.hosts}
        for table, names in self._changed.items():
            # Two passes over a table for all of its changes: each costs TinyDB as much as the whole table is long.
            stored, ids = self._db.table(table), self._ids[table]
            stored.remove(doc_ids=[ids[name] for name in names if name in ids])
            there = [name for name in names if name in kept[table]]
            for name in names.keys() - set(there):
                ids.pop(name, None)
            number = max(ids.values(), default=0)
            ids |= {name: number + i for i, name in enumerate((n for n in there if n not in ids), start=1)}
            stored.insert_multiple(Document(msgspec.to_builtins(kept[table][n]), doc_id=ids[n]) for n in there)
        if self._changed:
            self._db.table(FORMAT_TABLE).truncate()
            self._db.table(FORMAT_TABLE).insert(Document({"version": STATE_FORMAT}, doc_id=1))
        self._changed.clear()
        self._storage.flush()

    def close(self) -> None:
        self.flush()
        self._lock.release()

    def _mark(self, table: str, name: str) -> None:
        self._changed.setdefault(table, {})[name] = None


_TABLES = ("sweeps", "runs", "hosts")
