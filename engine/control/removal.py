"""Deleting sweeps: their folders, and the runs, token files and facts that no other sweep refers to."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import KituiError, SpecError, nearest
from engine.records.results import Plan, latest_plan
from engine.records.workspace import Workspace

if TYPE_CHECKING:
    from engine.control.supervisor import Supervisor


def delete(supervisor: Supervisor, names: list[str]) -> int:
    """Delete these sweeps; how many runs went with them. SpecError where one still runs, before anything is gone."""
    workspace, store = supervisor.workspace, supervisor.store
    for name in names:
        if name not in store.sweeps and name not in workspace.sweep_names():
            raise no_sweep(store.sweeps, workspace, name)
        running = [r for r in _own_runs(supervisor, name) if store.runs[r]["state"] == "running"]
        if running:
            raise SpecError(
                f"{len(running)} of its runs are running.", value=name, mend=f"kitui cancel {name} ends them first."
            )
    removed = 0
    for name in names:
        plan = _plan(workspace, name)
        runs = _own_runs(supervisor, name)
        supervisor.forget(name)
        for run_id in runs:
            store.remove("runs", run_id)
        store.remove("sweeps", name)
        store.flush()  # first: killed in between, files are left over that nothing points to
        for run_id in runs:
            _remove(workspace.run(run_id).root)
        _remove(workspace.sweep(name).root)
        if plan is not None:
            _remove_unused(workspace, plan)
        removed += len(runs)
    return removed


def no_sweep(sweeps: Iterable[str], workspace: Workspace, name: str) -> SpecError:
    known = [*sweeps, *workspace.sweep_names()]
    return SpecError("no sweep has this name.", value=name, mend=nearest(name, known) if known else "")


def _own_runs(supervisor: Supervisor, name: str) -> list[str]:
    """The runs of a sweep that no other sweep refers to."""
    sweeps = supervisor.store.sweeps
    if name not in sweeps:
        return []
    others = {r for other, sweep in sweeps.items() if other != name for r in sweep["run_ids"]}
    return [r for r in sweeps[name]["run_ids"] if r not in others and r in supervisor.store.runs]


def _plan(workspace: Workspace, name: str) -> Plan | None:
    try:
        return latest_plan(workspace.sweep(name))
    except KituiError:
        return None


def _remove_unused(workspace: Workspace, plan: Plan) -> None:
    """Token files and facts of a deleted sweep, unless another has the same."""
    others = [p for p in (_plan(workspace, name) for name in workspace.sweep_names()) if p is not None]
    if plan.tokens_id and plan.tokens_id not in {p.tokens_id for p in others}:
        _remove(workspace.tokens(plan.tokens_id))
    if plan.facts_id and plan.facts_id not in {p.facts_id for p in others}:
        workspace.facts(plan.facts_id).unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """Out of the way at once, by its name, and then gone: a reader never sees half a folder."""
    if folder.exists():
        aside = folder.with_name(f".deleted-{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
