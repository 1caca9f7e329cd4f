"""What goes with a sweep that is deleted, in words, and what can be had back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.control.ledger.state_file import read_state
from engine.records.record import SCHEMA_VERSION, Record
from engine.records.trash import KEPT_S, read_trash
from engine.records.workspace import Workspace, size_of
from kitui.services.format import counted, duration, number, size_of_bytes


class TrashedSweep(Record, frozen=True, kw_only=True):
    """A sweep that can be had back."""

    name: str
    id: str
    """Tells it from others of its name: `kitui undelete` takes it, too."""
    deleted_s: float
    left_s: float
    """Until it goes for good."""
    runs: int
    num_bytes: int


class TrashDocument(Record, frozen=True, kw_only=True):
    """`kitui undelete --json`."""

    schema_version: int = SCHEMA_VERSION
    trash: tuple[TrashedSweep, ...]


def deletion_words(workspace: Workspace, names: Sequence[str]) -> str:
    """The runs that no other sweep has, the hours that they took and the bytes that they hold."""
    state = read_state(workspace)
    kept = {r for name, sweep in state.sweeps.items() if name not in names for r in sweep.run_ids}
    theirs = {r for name in names if name in state.sweeps for r in state.sweeps[name].run_ids}
    runs = [state.runs[r] for r in sorted(theirs - kept) if r in state.runs]
    hours = sum(sum(run.used_s.values()) for run in runs) / 3600
    held = sum(size_of(workspace.run(run.name).root) for run in runs)
    held += sum(size_of(workspace.sweep(name).root) for name in names)
    shared = len(theirs & kept)
    if not any(name in state.sweeps for name in names):
        return f"results that came from elsewhere, {size_of_bytes(held)}"
    words = f"{counted(len(runs), 'run')}, {number(hours)} slot-hours, {size_of_bytes(held)}"
    return words + (f"; {counted(shared, 'run')} stay, for other sweeps have them" if shared else "")


def trash_document(workspace: Workspace) -> TrashDocument:
    now_s = time.time()
    return TrashDocument(
        trash=tuple(
            TrashedSweep(
                name=entry.deleted.name,
                id=entry.root.name,
                deleted_s=entry.deleted.deleted_s,
                left_s=max(0.0, entry.deleted.deleted_s + KEPT_S - now_s),
                runs=len(entry.deleted.runs),
                num_bytes=size_of(entry.root),
            )
            for entry in read_trash(workspace)
        )
    )


def trash_lines(document: TrashDocument) -> list[str]:
    return [
        f"{one.id}  {counted(one.runs, 'run')}, {size_of_bytes(one.num_bytes)}, gone for good in {duration(one.left_s)}"
        for one in document.trash
    ]
