"""What sweeps were launched with, read once each: their plans, run specs, and how long their runs take."""

from __future__ import annotations

from engine.control.ledger.run_times import RunTimes
from engine.errors import StateError
from engine.records.bundle import SweepBundle, read_bundle
from engine.records.plan import Plan
from engine.records.states import Runs
from engine.records.workspace import Workspace
from engine.spec.runspec import RunSpec


class Bundles:
    """By sweep. Each access raises StateError where the sweep's folder is gone or cannot be read."""

    def __init__(self, workspace: Workspace, runs: Runs) -> None:
        self._workspace, self._runs = workspace, runs
        self._bundles: dict[str, SweepBundle] = {}
        self._specs: dict[str, dict[str, RunSpec]] = {}
        self._times: dict[str, RunTimes] = {}
        self._unlearned: set[str] = set()

    def put(self, name: str, bundle: SweepBundle) -> None:
        """A sweep was launched, or launched again in a new form."""
        self.forget(name)
        self._bundles[name] = bundle

    def forget(self, name: str) -> None:
        self._bundles.pop(name, None)
        self._specs.pop(name, None)
        self._times.pop(name, None)

    def bundle(self, name: str) -> SweepBundle:
        if name not in self._bundles:
            bundle = read_bundle(self._workspace.sweep(name).bundle)
            if bundle is None:
                raise StateError("the sweep's bundle is gone.", where=str(self._workspace.sweep(name).root))
            self._bundles[name] = bundle
        return self._bundles[name]

    def plan(self, name: str) -> Plan:
        return self.bundle(name).plan

    def spec(self, name: str, run_id: str) -> RunSpec:
        if name not in self._specs:
            self._specs[name] = {run.run_id: run for run in self.bundle(name).runs}
        return self._specs[name][run_id]

    def run_times(self, name: str) -> RunTimes:
        if name not in self._times:
            self._times[name] = RunTimes(self.plan(name))
            self._unlearned.add(name)
        if name in self._unlearned:
            self._unlearned.discard(name)
            self._times[name].learn(self._runs)
        return self._times[name]

    def learn_of(self, run_id: str) -> None:
        """A run has ended: how long its sweeps' runs take is worked out anew when it is next asked for."""
        self._unlearned |= {name for name, times in self._times.items() if times.has(run_id)}
