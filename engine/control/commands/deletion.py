"""Deleting sweeps: their folders, and the runs, token files and facts that no other sweep refers to."""

from __future__ import annotations

import contextlib

from engine.control.commands.parts import Parts
from engine.control.ledger.ledger import Ledger
from engine.errors import KituiError, SpecError
from engine.records.plan import Plan, launched_plan, read_plan
from engine.records.states import LOCAL
from engine.records.workspace import Workspace, remove


def delete(parts: Parts, names: tuple[str, ...]) -> int:
    """Delete these sweeps; how many runs went with them. SpecError where one still runs, before anything is gone."""
    workspace, ledger = parts.workspace, parts.ledger
    for name in names:
        if name not in ledger.sweeps and name not in workspace.sweep_names():
            raise parts.no_sweep(name)
    kept = {r for name, sweep in ledger.sweeps.items() if name not in names for r in sweep.run_ids}
    theirs = {r for name in names if name in ledger.sweeps for r in ledger.sweeps[name].run_ids}
    runs = sorted(r for r in theirs - kept if r in ledger.runs)
    running = sum(ledger.runs[r].is_running for r in runs)
    if running:
        mend = f"kitui cancel {' '.join(names)} ends them first."
        raise SpecError(f"{running} of its runs are running.", value=", ".join(names), mend=mend)
    on_hosts = _left_on_hosts(ledger, names, runs)
    plans = [plan for name in names for plan in _plans(workspace, name)]
    for name in names:
        parts.preparing.stop(name)
        parts.analyses.drop(name)
        parts.bundles.forget(name)
        ledger.remove_sweep(name)
    for run_id in runs:
        ledger.remove_run(run_id)
    ledger.flush()  # first: killed in between, files are left over that nothing points to
    for run_id in runs:
        remove(workspace.run(run_id).root)
    for name in names:
        remove(workspace.sweep(name).root)
    others = [p for name in {*ledger.sweeps, *workspace.sweep_names()} for p in _plans(workspace, name)]
    tokens_ids = {p.tokens_id for p in plans} - {p.tokens_id for p in others} - {""}
    for tokens_id in tokens_ids:
        remove(workspace.tokens(tokens_id))
    for host, folders in on_hosts.items():
        parts.fleet.discard(host, [*folders, *(f"tokens/{tokens_id}" for tokens_id in tokens_ids)])
    for facts_id in {p.facts_id for p in plans} - {p.facts_id for p in others} - {""}:
        workspace.facts(facts_id).unlink(missing_ok=True)
    return len(runs)


def _left_on_hosts(ledger: Ledger, names: tuple[str, ...], runs: list[str]) -> dict[str, set[str]]:
    """What these sweeps and runs have left on other hosts."""
    folders: dict[str, set[str]] = {}
    for name in names:
        for host in ledger.sweeps[name].hosts if name in ledger.sweeps else ():
            folders.setdefault(host, set()).add(f"sweeps/{name}")
    for run_id in runs:
        for host in {ledger.runs[run_id].host, *ledger.runs[run_id].used_s}:
            folders.setdefault(host, set()).add(f"runs/{run_id}")
    folders.pop(LOCAL, None)
    return folders


def _plans(workspace: Workspace, name: str) -> list[Plan]:
    """What a sweep refers to: as it is prepared, and as it was launched last, which may still wait to be prepared."""
    folder = workspace.sweep(name)
    found: list[Plan | None] = []
    with contextlib.suppress(KituiError):
        found.append(read_plan(folder.plan))
    with contextlib.suppress(KituiError):
        found.append(launched_plan(folder))
    return [plan for plan in found if plan is not None]
