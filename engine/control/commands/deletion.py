"""Deleting sweeps: their folders, and the runs, token files and facts that no other sweep refers to."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.control.hosts.config import LOCAL, host_of, hosts_of
from engine.control.store import Store
from engine.errors import KituiError, SpecError, nearest
from engine.records.results import Plan, launched_plan, read_plan
from engine.records.workspace import Workspace

if TYPE_CHECKING:
    from engine.control.supervisor import Supervisor


def delete(supervisor: Supervisor, names: list[str]) -> int:
    """Delete these sweeps; how many runs went with them. SpecError where one still runs, before anything is gone."""
    workspace, store = supervisor.workspace, supervisor.store
    for name in names:
        if name not in store.sweeps and name not in workspace.sweep_names():
            raise no_sweep(store.sweeps, workspace, name)
    kept = {r for name, sweep in store.sweeps.items() if name not in names for r in sweep["run_ids"]}
    theirs = {r for name in names if name in store.sweeps for r in store.sweeps[name]["run_ids"]}
    runs = sorted(r for r in theirs - kept if r in store.runs)
    running = sum(store.runs[r]["state"] == "running" for r in runs)
    if running:
        mend = f"kitui cancel {' '.join(names)} ends them first."
        raise SpecError(f"{running} of its runs are running.", value=", ".join(names), mend=mend)
    there = _elsewhere(store, names, runs)
    plans = [plan for name in names for plan in _plans(workspace, name)]
    for name in names:
        supervisor.forget(name)
        store.remove("sweeps", name)
    for run_id in runs:
        store.remove("runs", run_id)
    store.flush()  # first: killed in between, files are left over that nothing points to
    for run_id in runs:
        _remove(workspace.run(run_id).root)
    for name in names:
        _remove(workspace.sweep(name).root)
    others = [p for name in {*store.sweeps, *workspace.sweep_names()} for p in _plans(workspace, name)]
    tokens_ids = {p.tokens_id for p in plans} - {p.tokens_id for p in others} - {""}
    for tokens_id in tokens_ids:
        _remove(workspace.tokens(tokens_id))
    for host, folders in there.items():
        supervisor.fleet.discard(host, [*folders, *(f"tokens/{tokens_id}" for tokens_id in tokens_ids)])
    for facts_id in {p.facts_id for p in plans} - {p.facts_id for p in others} - {""}:
        workspace.facts(facts_id).unlink(missing_ok=True)
    return len(runs)


def _elsewhere(store: Store, names: list[str], runs: list[str]) -> dict[str, set[str]]:
    """What these sweeps and runs have left on other hosts."""
    folders: dict[str, set[str]] = {}
    for name in names:
        for host in hosts_of(store.sweeps[name]) if name in store.sweeps else ():
            folders.setdefault(host, set()).add(f"sweeps/{name}")
    for run_id in runs:
        for host in {host_of(store.runs[run_id]), *store.runs[run_id].get("used_s", {})}:
            folders.setdefault(host, set()).add(f"runs/{run_id}")
    folders.pop(LOCAL, None)
    return folders


def no_sweep(sweeps: Iterable[str], workspace: Workspace, name: str) -> SpecError:
    known = [*sweeps, *workspace.sweep_names()]
    return SpecError("no sweep has this name.", value=name, mend=nearest(name, known) if known else "")


def _plans(workspace: Workspace, name: str) -> list[Plan]:
    """What a sweep refers to: as it is prepared, and as it was launched last, which may still wait to be prepared."""
    folder = workspace.sweep(name)
    found: list[Plan | None] = []
    with contextlib.suppress(KituiError):
        found.append(read_plan(folder.plan))
    with contextlib.suppress(KituiError):
        found.append(launched_plan(folder))
    return [plan for plan in found if plan is not None]


def _remove(folder: Path) -> None:
    """Out of the way at once, by its name, and then gone: a reader never sees half a folder."""
    if folder.exists():
        aside = folder.with_name(f".deleted-{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
