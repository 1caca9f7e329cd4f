"""What the supervisor is made of, as commands need it."""

from __future__ import annotations

from typing import NamedTuple

from engine.control.children.analyses import Analyses
from engine.control.hosts.fleet import Fleet
from engine.control.hosts.preparing import Preparing
from engine.control.ledger.bundles import Bundles
from engine.control.ledger.ledger import Ledger
from engine.control.ledger.results import Results
from engine.errors import SpecError, nearest
from engine.records.states import SweepState
from engine.records.workspace import Workspace


class Parts(NamedTuple):
    """What commands work on."""

    workspace: Workspace
    ledger: Ledger
    bundles: Bundles
    results: Results
    fleet: Fleet
    preparing: Preparing
    analyses: Analyses

    def known_sweep(self, name: str) -> SweepState:
        """SpecError names the nearest sweep where none has this name."""
        if name not in self.ledger.sweeps:
            raise self.no_sweep(name)
        return self.ledger.sweeps[name]

    def no_sweep(self, name: str) -> SpecError:
        known = [*self.ledger.sweeps, *self.workspace.sweep_names()]
        return SpecError("no sweep has this name.", value=name, mend=nearest(name, known) if known else "")

    def known_run(self, name: str) -> str:
        """The id of the run that is named, in full or by how it begins. SpecError otherwise."""
        runs = self.ledger.runs
        matching = [r for r in runs if r == name] or [r for r in runs if r.startswith(name)]
        if len(matching) != 1:
            known = [*self.ledger.sweeps, *runs]
            what = "several runs begin so." if matching else "no sweep and no run has this name."
            raise SpecError(what, value=name, mend=nearest(name, (matching or known)[:20]))
        return matching[0]

    def check_names(self, names: tuple[str, ...]) -> None:
        """SpecError unless each is that of a sweep or a run."""
        for name in names:
            if name not in self.ledger.sweeps:
                self.known_run(name)

    def runs_of(self, name: str) -> tuple[str, ...]:
        """The runs of a sweep, or the run that is named."""
        return self.ledger.sweeps[name].run_ids if name in self.ledger.sweeps else (self.known_run(name),)

    def latest_sweep_of(self, run_id: str) -> SweepState:
        """The sweep that a run is trained for: an active one, or else the one launched last."""
        wanting = self.ledger.sweeps_of(run_id)
        if not wanting:
            raise SpecError("no sweep has this run any more.", value=run_id, mend="Launch a sweep that does.")
        return max(wanting, key=lambda sweep: (sweep.active, sweep.launched_s))
