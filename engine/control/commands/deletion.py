"""Deleting sweeps, with the runs that no other sweep has: into the trash, from which they can be had back, and out of
it when their time is over, with the token files and facts that nothing else refers to."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from engine.control.commands.parts import Parts
from engine.control.ledger.ledger import Ledger
from engine.errors import KituiError, SpecError, nearest
from engine.records.plan import Plan, launched_plan, read_plan
from engine.records.record import encoded
from engine.records.states import LOCAL
from engine.records.trash import KEPT_S, Deleted, TrashFolder, entry_path, read_trash, record_path
from engine.records.workspace import SweepFolder, Workspace, remove, write_atomically


def delete(parts: Parts, names: tuple[str, ...], *, for_good: bool) -> int:
    """Put these sweeps into the trash, or, `for_good`, remove them; how many runs went with them. SpecError where one
    still runs, before anything is moved."""
    workspace, ledger = parts.workspace, parts.ledger
    for name in names:
        if name not in ledger.sweeps and name not in workspace.sweep_names():
            raise parts.no_sweep(name)
    kept = {r for name, sweep in ledger.sweeps.items() if name not in names for r in sweep.run_ids}
    theirs = {name: ledger.sweeps[name].run_ids if name in ledger.sweeps else () for name in names}
    runs = {r for run_ids in theirs.values() for r in run_ids if r in ledger.runs} - kept
    running = sum(ledger.runs[r].is_running for r in runs)
    if running:
        mend = f"kitui cancel {' '.join(names)} ends them first."
        raise SpecError(f"{running} of its runs are running.", value=", ".join(names), mend=mend)
    deleted, left = [], set(runs)
    for name in names:
        own = tuple(ledger.runs[r] for r in theirs[name] if r in left)
        left -= {run.name for run in own}
        deleted.append(Deleted(name=name, deleted_s=time.time(), sweep=ledger.sweeps.get(name), runs=own))
    plans = {name: _plans(workspace.sweep(name)) for name in names}
    # A full disk takes nothing more: what goes for good needs no place there.
    entries = [] if for_good else [_put_down(workspace, one) for one in deleted]
    for name in names:
        parts.preparing.stop(name)
        parts.analyses.drop(name)
        parts.bundles.forget(name)
        ledger.remove_sweep(name)
    for run_id in runs:
        ledger.remove_run(run_id)
    ledger.flush()  # first: killed in between, what is not moved yet is found where it was
    for entry in entries:
        _move(workspace.sweep(entry.deleted.name).root, entry.sweep.root)
        for run in entry.deleted.runs:
            _move(workspace.run(run.name).root, entry.run(run.name))
    for one in deleted if for_good else []:
        for run in one.runs:
            remove(workspace.run(run.name).root)
        remove(workspace.sweep(one.name).root)
    for one in deleted if for_good else []:
        _release(parts, one, plans[one.name])
    return len(runs)


def undelete(parts: Parts, names: tuple[str, ...]) -> int:
    """Have sweeps back as they were deleted last; how many runs came with them. SpecError where one is not in the
    trash, or another has its name now, before anything is moved."""
    workspace, ledger = parts.workspace, parts.ledger
    trash = read_trash(workspace)
    entries = []
    for name in names:
        entry = next((one for one in trash if one.deleted.name == name), None)
        if entry is None:
            known = [one.deleted.name for one in trash]
            mend = nearest(name, known) if known else "There is nothing in the trash."
            raise SpecError("nothing of this name is in the trash.", value=name, mend=mend)
        if name in ledger.sweeps or (entry.sweep.root.exists() and workspace.sweep(name).root.exists()):
            mend = "Delete or rename that one first."
            raise SpecError("there is a sweep of this name again.", value=name, mend=mend)
        entries.append(entry)
    num_runs = 0
    for entry in entries:
        _move(entry.sweep.root, workspace.sweep(entry.deleted.name).root)
        for run_id in entry.deleted.sweep.run_ids if entry.deleted.sweep is not None else ():
            num_runs += _bring_back(workspace, ledger, trash, run_id)
        if entry.deleted.sweep is not None:
            ledger.put_sweep(entry.deleted.sweep)
    ledger.flush()
    for entry in entries:
        remove(entry.root)
    return num_runs


def purge_expired(parts: Parts, now_s: float) -> None:
    """Remove what has been in the trash for its time."""
    for entry in read_trash(parts.workspace):
        if now_s - entry.deleted.deleted_s > KEPT_S:
            _purge(parts, entry)


def _put_down(workspace: Workspace, deleted: Deleted) -> TrashFolder:
    entry = TrashFolder(entry_path(workspace, deleted), deleted)
    workspace.trash.mkdir(mode=0o700, exist_ok=True)
    (entry.root / "runs").mkdir(parents=True)
    write_atomically(record_path(entry.root), encoded(deleted))
    return entry


def _bring_back(workspace: Workspace, ledger: Ledger, trash: list[TrashFolder], run_id: str) -> bool:
    """One run, from whichever sweep it was deleted with; not where the state has it again: it was trained anew."""
    if run_id in ledger.runs:
        return False
    for entry in trash:
        state = next((run for run in entry.deleted.runs if run.name == run_id), None)
        if state is not None:
            _move(entry.run(run_id), workspace.run(run_id).root)
            ledger.put_run(state)
            return True
    return False


def _move(source: Path, target: Path) -> None:
    """Whatever is there; what a killed process had moved already stays."""
    if source.exists() and not target.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(source, target)


def _purge(parts: Parts, entry: TrashFolder) -> None:
    own = _plans(entry.sweep)
    remove(entry.root)
    _release(parts, entry.deleted, own)


def _release(parts: Parts, deleted: Deleted, own: list[Plan]) -> None:
    """Remove what a sweep that is gone left on other hosts, and the token files and facts that only it referred to."""
    workspace, ledger = parts.workspace, parts.ledger
    others = [workspace.sweep(name) for name in {*ledger.sweeps, *workspace.sweep_names()}]
    others += [entry.sweep for entry in read_trash(workspace)]
    plans = [plan for folder in others for plan in _plans(folder)]
    tokens_ids = {p.tokens_id for p in own} - {p.tokens_id for p in plans} - {""}
    for tokens_id in tokens_ids:
        remove(workspace.tokens(tokens_id))
    for host, folders in _left_on_hosts(ledger, deleted).items():
        parts.fleet.discard(host, [*folders, *(f"tokens/{tokens_id}" for tokens_id in tokens_ids)])
    for facts_id in {p.facts_id for p in own} - {p.facts_id for p in plans} - {""}:
        workspace.facts(facts_id).unlink(missing_ok=True)


def _left_on_hosts(ledger: Ledger, deleted: Deleted) -> dict[str, set[str]]:
    """What a sweep and its runs have left on other hosts, and nothing has there again."""
    folders: dict[str, set[str]] = {}
    if deleted.sweep is not None and deleted.name not in ledger.sweeps:
        for host in deleted.sweep.hosts:
            folders.setdefault(host, set()).add(f"sweeps/{deleted.name}")
    for run in deleted.runs:
        if run.name not in ledger.runs:
            for host in {run.host, *run.used_s}:
                folders.setdefault(host, set()).add(f"runs/{run.name}")
    folders.pop(LOCAL, None)
    return folders


def _plans(folder: SweepFolder) -> list[Plan]:
    """What a sweep refers to: as it is prepared, and as it was launched last, which may still wait to be prepared."""
    found: list[Plan | None] = []
    with contextlib.suppress(KituiError):
        found.append(read_plan(folder.plan))
    with contextlib.suppress(KituiError):
        found.append(launched_plan(folder))
    return [plan for plan in found if plan is not None]
