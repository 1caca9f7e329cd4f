"""Cleaning: what a workspace could do without goes, here and on other hosts."""

from __future__ import annotations

from collections import defaultdict

from engine.control.commands.parts import Parts
from engine.control.leftovers import find_leftovers
from engine.records.commands import Obeyed
from engine.records.leftovers import Leftover
from engine.records.states import LOCAL
from engine.records.workspace import remove, size_of


def clean(parts: Parts, names: tuple[str, ...], *, weights: bool) -> Obeyed:
    """Remove all that `find_leftovers` finds now; with `weights` those of these sweeps (or of all) too. What went, in
    runs and in bytes of this machine's disk."""
    for name in names:
        parts.known_sweep(name)
    of_sweeps = (names or tuple(parts.ledger.sweeps)) if weights else None
    found = find_leftovers(parts.workspace, parts.ledger, of_sweeps).found
    runs = {one.path.removeprefix("runs/") for one in found if one.kind == "runs"}
    for run_id in runs:
        parts.ledger.remove_run(run_id)
    parts.ledger.flush()  # first: killed in between, files are left over that nothing points to
    freed = sum(_remove(parts, one) for one in found if one.host == LOCAL)
    elsewhere: dict[str, list[str]] = defaultdict(list)
    for one in found:
        if one.host != LOCAL:
            elsewhere[one.host].append(one.path)
    for one in found:
        if one.kind == "weights":
            parts.ledger.change_run(one.path.split("/")[1]).weights_dropped = True
    for host, paths in elsewhere.items():
        parts.fleet.discard(host, paths)
    return Obeyed(runs=len(runs), freed_bytes=freed)


def _remove(parts: Parts, one: Leftover) -> int:
    """Bytes that are free now."""
    path = parts.workspace.root / one.path
    size = size_of(path)
    if one.kind == "weights":
        (path.parent / "latest").unlink(missing_ok=True)  # first: without it there is no checkpoint
        run = parts.ledger.change_run(path.parent.name)
        run.kept_bytes = max(0, run.kept_bytes - size)
    remove(path)
    return size - size_of(path)
