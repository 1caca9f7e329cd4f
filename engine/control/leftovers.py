"""What a workspace could do without, found by counting who refers to what. Nothing is changed here.

A run belongs to every sweep that has it among its cells, in the state or in a plan on disk; token files and facts to
every plan. What cannot be read might refer to anything: then nothing of these kinds is found.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.control.ledger.ledger import Ledger
from engine.control.ledger.state_file import State
from engine.control.onhost import guard
from engine.errors import KituiError
from engine.records.leftovers import Leftover, LeftoversDocument
from engine.records.plan import Plan, launched_plan, read_plan
from engine.records.processes import GuardRecord
from engine.records.record import read_record
from engine.records.states import LOCAL, RunState
from engine.records.workspace import Workspace, size_of

_TEMPORARY = re.compile(r"\..*(\.tmp|\.building|\.removed|\.old)|\.deleted-.*|.*\.unreadable|.*\.damaged|\..*\.\w{8}")
_WRITTEN_BY = re.compile(r"\.?.+\.(\d+)\.tmp")
_AFTER_S = 3600.0
"""What is being written is not taken for what was left over."""


def find_leftovers(
    workspace: Workspace, state: State | Ledger, weights_of: Iterable[str] | None = None
) -> LeftoversDocument:
    """Runs that no sweep has, token files and facts that no plan names, what processes that died have left half-made;
    and, with `weights_of`, the weights of these sweeps' ended runs that no other sweep has."""
    references, kept = _references(workspace, state)
    found: list[Leftover] = [*_temporary(workspace)]
    if references is not None:
        found += _unreferenced(workspace, state, *references)
    if weights_of is not None:
        weights, shared = _weights(workspace, state, set(weights_of))
        found += weights
        kept += [f"the weights of {shared:,} runs: another sweep has them too"] if shared else []
    return LeftoversDocument(found=tuple(found), kept=tuple(kept))


_References = tuple[set[str], set[str], set[str]]
"""Ids of runs, token files and facts that something refers to."""


def _references(workspace: Workspace, state: State | Ledger) -> tuple[_References | None, list[str]]:
    runs = {run_id for sweep in state.sweeps.values() for run_id in sweep.run_ids}
    plans: list[Plan] = []
    for folder in map(workspace.sweep, _names(workspace.root / "sweeps")):
        try:
            plans += [plan for plan in (read_plan(folder.plan), launched_plan(folder)) if plan is not None]
        except KituiError as error:
            words = f"runs, token files and facts: nobody can tell which of them {folder.root.name} has ({error})"
            return None, [words]
    runs |= {cell.run_id for plan in plans for cell in plan.cells}
    return (runs, {plan.tokens_id for plan in plans}, {plan.facts_id for plan in plans}), []


def _unreferenced(
    workspace: Workspace, state: State | Ledger, runs: set[str], tokens: set[str], facts: set[str]
) -> Iterator[Leftover]:
    known = {run_id for run_id in state.runs if run_id not in runs}
    for run_id in sorted(known | (workspace.run_ids() - runs)):
        run = state.runs.get(run_id)
        if run_id.startswith(".") or (run is not None and run.is_running) or _is_guarded(workspace, run_id):
            continue
        yield _here("runs", workspace, workspace.run(run_id).root)
        for host in _hosts_of(run):
            yield Leftover(kind="runs", path=f"runs/{run_id}", num_bytes=None, host=host)
    for tokens_id in sorted(_names(workspace.root / "tokens") - tokens):
        yield _here("tokens", workspace, workspace.tokens(tokens_id))
    for name in sorted(_names(workspace.root / "facts")):
        if name.removesuffix(".json") not in facts:
            yield _here("facts", workspace, workspace.root / "facts" / name)


def _weights(workspace: Workspace, state: State | Ledger, sweeps: set[str]) -> tuple[list[Leftover], int]:
    """Those of ended runs: a run that is to go on needs its own. And how many stay for another sweep's sake."""
    theirs = {r for name in sweeps if name in state.sweeps for r in state.sweeps[name].run_ids}
    of_others = {r for name, sweep in state.sweeps.items() if name not in sweeps for r in sweep.run_ids}
    found, num_shared = [], 0
    for run_id in sorted(theirs):
        run = state.runs.get(run_id)
        if run is None or not run.status.is_scored:
            continue
        folder = workspace.run(run_id).checkpoints
        if run_id in of_others:
            num_shared += folder.exists() or bool(_hosts_of(run))
            continue
        if folder.exists():
            found.append(_here("weights", workspace, folder))
        path = f"runs/{run_id}/checkpoints"
        found += [Leftover(kind="weights", path=path, num_bytes=None, host=host) for host in _hosts_of(run)]
    return found, num_shared


def _temporary(workspace: Workspace) -> Iterator[Leftover]:
    """What was being written when its process died: by the names that only such files have, once they are old."""
    folders = [workspace.root, *(workspace.root / name for name in ("queue", "sweeps", "tokens", "facts", "runs"))]
    folders += [workspace.root / "sweeps" / name for name in _names(workspace.root / "sweeps")]
    for run_id in workspace.run_ids():
        folders += [workspace.run(run_id).root, workspace.run(run_id).checkpoints]
    for folder in folders:
        for name in sorted(_all_names(folder)):
            if _TEMPORARY.fullmatch(name) and _is_old(folder / name):
                yield _here("temporary", workspace, folder / name)


def _here(kind: str, workspace: Workspace, path: Path) -> Leftover:
    return Leftover(kind=kind, path=str(path.relative_to(workspace.root)), num_bytes=size_of(path), host=LOCAL)  # type: ignore[arg-type]


def _hosts_of(run: RunState | None) -> list[str]:
    return [] if run is None else sorted({run.host, *run.used_s} - {LOCAL})


def _is_guarded(workspace: Workspace, run_id: str) -> bool:
    try:
        owner = read_record(GuardRecord, workspace.run(run_id).guard)
    except KituiError:
        return False
    return owner is not None and guard.is_alive(owner.pid, owner.start_ticks, owner.boot_id)


def _is_old(path: Path) -> bool:
    """Whether nobody writes it any more: it is old, and (a folder that is being made is locked) not locked."""
    try:
        if time.time() - path.lstat().st_mtime < _AFTER_S:
            return False
        if not path.is_dir():
            return True
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _names(folder: Path) -> set[str]:
    return {name for name in _all_names(folder) if not name.startswith(".")}


def _all_names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder)}
    except OSError:
        return set()


def remove_half_written(folders: Iterable[Path]) -> None:
    """Remove what a killed process was writing in these folders: its temporary files, which name it."""
    for folder in folders:
        for name in _all_names(folder):
            writer = _WRITTEN_BY.fullmatch(name)
            if writer and guard.start_ticks(int(writer[1])) is None:
                (folder / name).unlink(missing_ok=True)
