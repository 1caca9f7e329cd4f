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
from engine.records.states import LOCAL, RunState, RunStatus
from engine.records.trash import KEPT_S, Deleted, TrashFolder, entry_path, read_trash, record_path
from engine.records.workspace import SweepFolder, Workspace, remove, write_atomically


def delete(parts: Parts, names: tuple[str, ...], *, for_good: bool) -> int:
    """Put these sweeps into the trash, or, `for_good`, remove them; how many runs went with them. SpecError where one
    still runs, before anything is moved."""
    workspace, ledger = parts.workspace, parts.ledger
    names = tuple(dict.fromkeys(names))
    for name in names:
        if name not in ledger.sweeps and name not in workspace.sweep_names():
            raise parts.no_sweep(name)
    if not for_good:
        _check_one_disk(workspace)
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
    entries = [] if for_good else _put_down(workspace, deleted)
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
    for name in dict.fromkeys(names):
        entry = next((one for one in trash if name in (one.deleted.name, one.root.name)), None)
        if entry is None:
            known = [one.deleted.name for one in trash]
            mend = nearest(name, known) if known else "There is nothing in the trash."
            raise SpecError("nothing of this name is in the trash.", value=name, mend=mend)
        own = entry.deleted.name
        if own in ledger.sweeps or (entry.sweep.root.exists() and workspace.sweep(own).root.exists()):
            mend = f"Delete that one first; then kitui undelete {entry.root.name} has this one back."
            raise SpecError("there is a sweep of this name again.", value=own, mend=mend)
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


def _check_one_disk(workspace: Workspace) -> None:
    """SpecError where the trash would lie on another disk than what goes there: it would be copied, and not moved."""
    places = [workspace.root, workspace.root / "sweeps", workspace.root / "runs"]
    if len({place.stat().st_dev for place in places if place.exists()}) > 1:
        raise SpecError(
            "its sweeps and runs lie on several disks: there is no trash.",
            where=str(workspace.root),
            mend="kitui delete --for-good removes them at once.",
        )


def _put_down(workspace: Workspace, deleted: list[Deleted]) -> list[TrashFolder]:
    """The entries, with how the state has what goes there. All of them or, where there is no room, none."""
    entries = [TrashFolder(entry_path(workspace, one), one) for one in deleted]
    workspace.trash.mkdir(mode=0o700, exist_ok=True)
    try:
        for entry in entries:
            (entry.root / "runs").mkdir(parents=True)
            write_atomically(record_path(entry.root), encoded(entry.deleted))
    except OSError:
        for entry in entries:
            shutil.rmtree(entry.root, ignore_errors=True)
        raise
    return entries


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
    gone = "it was deleted for good with another sweep; kitui retry trains it again"
    ledger.put_run(RunState(name=run_id, status=RunStatus.CANCELLED, reason=gone))
    return False


def _move(source: Path, target: Path) -> None:
    """Whatever is there; what a killed process had moved already stays."""
    if source.exists() and not target.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source.rename(target)


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
    for host, folders in _left_on_hosts(workspace, ledger, deleted).items():
        parts.fleet.discard(host, [*folders, *(f"tokens/{tokens_id}" for tokens_id in tokens_ids)])
    for facts_id in {p.facts_id for p in own} - {p.facts_id for p in plans} - {""}:
        workspace.facts(facts_id).unlink(missing_ok=True)


def _left_on_hosts(workspace: Workspace, ledger: Ledger, deleted: Deleted) -> dict[str, set[str]]:
    """What a sweep and its runs have left on other hosts, and nothing has there again or can have back."""
    trash = [entry.deleted for entry in read_trash(workspace)]
    sweeps = {*ledger.sweeps, *(one.name for one in trash)}
    runs = {*ledger.runs, *(run.name for one in trash for run in one.runs)}
    folders: dict[str, set[str]] = {}
    if deleted.sweep is not None and deleted.name not in sweeps:
        for host in deleted.sweep.hosts:
            folders.setdefault(host, set()).add(f"sweeps/{deleted.name}")
    for run in deleted.runs:
        if run.name not in runs:
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
