"""What was deleted and can still be had back: a folder a sweep in `trash/`, with its runs and the state of both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from engine.errors import KituiError
from engine.records.record import Record, read_record
from engine.records.states import RunState, SweepState
from engine.records.workspace import SweepFolder, Workspace

KEPT_S = 7 * 86400.0
"""How long what was deleted can be had back."""
_ENTRY = re.compile(r"\d{13}-[a-z0-9][a-z0-9._-]*")


class Deleted(Record, frozen=True, kw_only=True):
    """How the state had it."""

    name: str
    deleted_s: float
    sweep: SweepState | None = None
    """None of one that was imported or simulated."""
    runs: tuple[RunState, ...] = ()
    """Those that went with it: no other sweep had them."""


class TrashFolder(NamedTuple):
    """What lies in `trash/<milliseconds>-<name>`."""

    root: Path
    deleted: Deleted

    @property
    def sweep(self) -> SweepFolder:
        return SweepFolder(self.root / "sweep")

    def run(self, run_id: str) -> Path:
        return self.root / "runs" / run_id


def record_path(folder: Path) -> Path:
    return folder / "deleted.json"


def entry_path(workspace: Workspace, deleted: Deleted) -> Path:
    return workspace.trash / f"{round(1000 * deleted.deleted_s):013d}-{deleted.name}"


def is_entry(name: str) -> bool:
    """Whether a folder in the trash has the name of an entry."""
    return _ENTRY.fullmatch(name) is not None


def read_trash(workspace: Workspace) -> list[TrashFolder]:
    """What can be had back, the newest first. A folder without a readable record is none of it."""
    found = []
    names = workspace.trash.iterdir() if workspace.trash.is_dir() else ()
    for path in sorted(names, reverse=True):
        if is_entry(path.name):
            try:
                deleted = read_record(Deleted, record_path(path))
            except KituiError:
                continue
            if deleted is not None:
                found.append(TrashFolder(path, deleted))
    return found
