"""Having what a sweep's runs read put in place: its facts here, its token files on each of its hosts."""

from __future__ import annotations

from engine.control.hosts.fleet import Fleet
from engine.control.ledger.bundles import Bundles
from engine.control.ledger.ledger import Ledger
from engine.errors import KituiError, is_no_room
from engine.records.plan import read_plan
from engine.records.record import write_record
from engine.records.states import SweepState
from engine.records.workspace import Workspace, write_json


class Preparing:
    """Puts what a sweep needs onto its hosts, and says what is in the way there."""

    def __init__(self, workspace: Workspace, ledger: Ledger, bundles: Bundles, fleet: Fleet) -> None:
        self._workspace, self._ledger, self._bundles, self._fleet = workspace, ledger, bundles, fleet
        self._facts_written: dict[str, int] = {}
        """By sweep, for which attempt."""

    def keep_all(self) -> None:
        """See that every active sweep is prepared on its hosts."""
        for name, sweep in self._ledger.sweeps.items():
            if sweep.active:
                try:
                    self._keep(name, sweep)
                except (KituiError, OSError) as error:
                    if is_no_room(error):
                        continue
                    self._give_up(name, str(error))

    def _keep(self, name: str, sweep: SweepState) -> None:
        faults: dict[str, str] = {}
        attempt = round(1000 * (sweep.asked_s or sweep.launched_s))
        if self._facts_written.get(name) != attempt:
            bundle = self._bundles.bundle(name)
            write_json(self._workspace.facts(bundle.plan.facts_id), bundle.facts.model_dump(mode="json"))
            self._facts_written[name] = attempt
        for host in sweep.hosts:
            launcher = self._fleet.launcher(host)
            if launcher is None:
                continue
            launcher.prepare(self._bundles.bundle(name), attempt)
            prepared = launcher.prepared(name)
            if prepared.fault:
                faults[host] = prepared.fault
            elif prepared.is_ready and sweep.prepared is None and prepared.plan is not None:
                made = read_plan(prepared.plan)
                if made is None:
                    faults[host] = "the preparation left no plan"
                    continue
                target = self._workspace.sweep(name).plan
                if prepared.plan != target:
                    write_record(target, made)
                changed = self._ledger.change_sweep(name)
                changed.prepared, changed.prepare_error = True, None
        if len(faults) == len(sweep.hosts):
            self._give_up(name, _in_words(faults, sweep))
            faults = {} if sweep.is_local else faults
        if faults != sweep.host_faults:
            self._ledger.change_sweep(name).host_faults = faults

    def is_ready(self, host: str, name: str) -> bool:
        """Whether a sweep's token files are on this host."""
        launcher = self._fleet.launcher(host)
        return launcher is not None and launcher.prepared(name).is_ready

    def stop(self, name: str) -> None:
        """A sweep is no longer to be prepared."""
        for host in self._ledger.sweeps[name].hosts if name in self._ledger.sweeps else ():
            launcher = self._fleet.known_launcher(host)
            if launcher is not None:
                launcher.drop(name)

    def _give_up(self, name: str, fault: str) -> None:
        sweep = self._ledger.change_sweep(name)
        sweep.prepared, sweep.prepare_error, sweep.active = False, fault, False


def _in_words(faults: dict[str, str], sweep: SweepState) -> str:
    return next(iter(faults.values())) if sweep.is_local else "; ".join(f"{h}: {words}" for h, words in faults.items())
