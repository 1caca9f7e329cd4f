"""What a workspace could do without, found by counting who refers to what. Nothing is changed here.

A run belongs to every sweep that has it among its cells, in the state or in a plan on disk; token files and facts to
every plan. What cannot be read might refer to anything: then nothing of these kinds is found.
"""

from __future__ import annotations

import contextlib
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
from engine.records.raw_bundle import RawBundle
from engine.records.record import read_record
from engine.records.states import LOCAL, RunState
from engine.records.trash import is_entry, read_trash
from engine.records.workspace import Workspace, is_locked, read_json, size_of
from engine.spec.names import is_name

_RUN, _HASH = re.compile(r"[a-z0-9._-]+-f\d+-s\d+-[0-9a-f]{12}"), re.compile(r"[0-9a-f]{12}")
"""What kitui itself calls runs, and token files and facts: whatever else lies beside them is not its own."""
_BEING_WRITTEN = r"\..+\.(\d+)\.tmp"
_LEFT = {
    name: re.compile(pattern)
    for name, pattern in {
        ".": r"\.(?:state|probe)\.json\.(\d+)\.tmp",
        "queue": rf"{_BEING_WRITTEN}|.+\.unreadable",
        "facts": _BEING_WRITTEN,
        "sweeps": r"\.[a-z0-9._-]+\.\w{8}(?:\.old)?|\.deleted-.+",
        "tokens": r"\.[0-9a-f]{12}\.(?:\w{8}|making)(?:\.damaged)?|\.deleted-.+",
        "runs": r"\.deleted-.+",
        "trash": r"\.deleted-.+",
        "sweeps/*": _BEING_WRITTEN,
        "runs/*": _BEING_WRITTEN,
        "runs/*/checkpoints": r"\.\d+\.(?:building|removed)",
    }.items()
}
"""By folder, the names that only half-made files have there."""
_AFTER_S, _WRITTEN_WITHIN_S = 3600.0, 5.0
"""What is being written is not taken for what was left over; a single file is written within seconds."""


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
        kept += [f"the weights of {shared:,} runs: another sweep has them too, or scores them"] if shared else []
    return LeftoversDocument(found=tuple(found), kept=tuple(kept))


_References = tuple[set[str], set[str], set[str]]
"""Ids of runs, token files and facts that something refers to."""


def _references(workspace: Workspace, state: State | Ledger) -> tuple[_References | None, list[str]]:
    runs = {run_id for sweep in state.sweeps.values() for run_id in sweep.run_ids}
    plans: list[Plan] = []
    starts: set[str] = set()
    for folder in map(workspace.sweep, _names(workspace.root / "sweeps")):
        try:
            plans += [plan for plan in (read_plan(folder.plan), launched_plan(folder)) if plan is not None]
            bundle = read_record(RawBundle, folder.bundle)
            starts |= bundle.starts() if bundle is not None else set()
        except KituiError as error:
            words = f"runs, token files and facts: nobody can tell which of them {folder.root.name} has ({error})"
            return None, [words]
    for entry in read_trash(workspace):  # it can be had back
        runs |= {run.name for run in entry.deleted.runs}
        with contextlib.suppress(KituiError):  # what cannot be read there is no use to anybody
            own = (read_plan(entry.sweep.plan), launched_plan(entry.sweep))
            plans += [plan for plan in own if plan is not None]
    runs |= {cell.run_id for plan in plans for cell in plan.cells}
    runs |= {part for start in starts for part in Path(start).parts if _RUN.fullmatch(part)}
    return (runs, {plan.tokens_id for plan in plans}, {plan.facts_id for plan in plans}), []


def _unreferenced(
    workspace: Workspace, state: State | Ledger, runs: set[str], tokens: set[str], facts: set[str]
) -> Iterator[Leftover]:
    known = {run_id for run_id in state.runs if run_id not in runs}
    there = {run_id for run_id in workspace.run_ids() if _RUN.fullmatch(run_id)}
    for run_id in sorted(known | (there - runs)):
        run = state.runs.get(run_id)
        if (run is not None and run.is_running) or _is_guarded(workspace, run_id):
            tokens = tokens | _field(workspace, run_id, "tokens_id")
            facts = facts | _field(workspace, run_id, "facts_id")
            continue
        yield _here("runs", workspace, workspace.run(run_id).root)
        for host in _hosts_of(run):
            yield Leftover(kind="runs", path=f"runs/{run_id}", num_bytes=None, host=host)
    shared = (workspace.root / "tokens").is_symlink()  # with other workspaces, which nobody here knows
    for tokens_id in sorted(set() if shared else _all_names(workspace.root / "tokens") - tokens):
        if _HASH.fullmatch(tokens_id) and (workspace.tokens(tokens_id) / "corpus.json").exists():
            yield _here("tokens", workspace, workspace.tokens(tokens_id))
    for name in sorted(_all_names(workspace.root / "facts")):
        facts_id, dot, ending = name.partition(".")
        if _HASH.fullmatch(facts_id) and (dot, ending) == (".", "json") and facts_id not in facts:
            yield _here("facts", workspace, workspace.facts(facts_id))


def _field(workspace: Workspace, run_id: str, name: str) -> set[str]:
    """What the spec of a run refers to."""
    try:
        return {(read_json(workspace.run(run_id).spec) or {})[name]}
    except (KituiError, KeyError, TypeError):
        return set()


def _weights(workspace: Workspace, state: State | Ledger, sweeps: set[str]) -> tuple[list[Leftover], int]:
    """Those of ended runs that nothing is still to be scored from; and how many stay for another sweep's sake."""
    theirs = {r for name in sweeps if name in state.sweeps for r in state.sweeps[name].run_ids}
    of_others = {r for name, sweep in state.sweeps.items() if name not in sweeps for r in sweep.run_ids}
    of_others |= {
        run_id  # still to be scored with a sweep's questions
        for sweep in state.sweeps.values()
        if sweep.active
        for run_id in sweep.run_ids
        if run_id in state.runs and sweep.evaluation_id not in state.runs[run_id].results
    }
    found, num_shared = [], 0
    for run_id in sorted(theirs):
        run = state.runs.get(run_id)
        if run is None or not run.status.is_scored or run.weights_dropped:
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
    for pattern, folder in _written_in(workspace, _all_names(workspace.root / "sweeps"), workspace.run_ids()):
        for name in sorted(_all_names(folder)):
            if _LEFT[pattern].fullmatch(name) and _is_old(folder / name):
                yield _here("temporary", workspace, folder / name)
    known = {entry.root.name for entry in read_trash(workspace)}
    for name in sorted(_names(workspace.trash) - known):  # nobody can say what it was
        if is_entry(name) and _is_old(workspace.trash / name):
            yield _here("temporary", workspace, workspace.trash / name)


def _written_in(workspace: Workspace, sweeps: Iterable[str], runs: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """The folders that kitui writes in, with the pattern for each."""
    for name in (".", "queue", "facts", "sweeps", "tokens", "runs", "trash"):
        if not (workspace.root / name).is_symlink():
            yield name, workspace.root / name
    yield from (("sweeps/*", workspace.sweep(name).root) for name in sweeps if is_name(name))
    for run_id in runs:
        if _RUN.fullmatch(run_id):
            yield "runs/*", workspace.run(run_id).root
            yield "runs/*/checkpoints", workspace.run(run_id).checkpoints


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
        age_s = time.time() - path.lstat().st_mtime
    except OSError:
        return False
    return age_s > _AFTER_S and not (path.is_dir() and is_locked(path))


def _names(folder: Path) -> set[str]:
    return {name for name in _all_names(folder) if not name.startswith(".")}


def _all_names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder)}
    except OSError:
        return set()


def remove_half_written(workspace: Workspace, sweep: str, run_ids: Iterable[str]) -> None:
    """Remove what a killed process was writing for a sweep that is over: temporary files, which name their writer."""
    for pattern, folder in _written_in(workspace, [sweep], run_ids):
        for name in _all_names(folder):
            writer = _LEFT[pattern].fullmatch(name)
            if writer and writer.groups() and writer[1] and guard.start_ticks(int(writer[1])) is None:
                with contextlib.suppress(OSError):
                    if time.time() - (folder / name).lstat().st_mtime > _WRITTEN_WITHIN_S:
                        (folder / name).unlink()
