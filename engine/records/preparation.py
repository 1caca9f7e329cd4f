"""How far the making of token files has come: `progress.json` in the folder that they are made in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from engine.errors import DamageError
from engine.records.plan import launched_plan
from engine.records.record import Record, encoded, read_record
from engine.records.workspace import Workspace, is_locked

PROGRESS_FILE = "progress.json"


class Preparation(Record, frozen=True, kw_only=True):
    """What is being made, and how much of the text has been read for it."""

    making: Literal["tokenizer", "tokens"]
    share: float | None
    """None of a text whose end is not known."""

    @property
    def words(self) -> str:
        return self.making + (f" {self.share:.0%}" if self.share is not None else "")


def folder_of_making(tokens: Path) -> Path:
    """Where a token folder is made, before it is renamed."""
    return tokens.with_name(f".{tokens.name}.making")


def write_preparation(building: Path, progress: Preparation) -> None:
    """Replaced as a whole, and not made durable: nothing depends on it."""
    temporary = building / f".{PROGRESS_FILE}"
    temporary.write_bytes(encoded(progress))
    os.replace(temporary, building / PROGRESS_FILE)


def read_preparation(workspace: Workspace, sweep: str) -> Preparation | None:
    """How far the token files of a sweep have come on this machine; None where they are not being made here."""
    try:
        plan = launched_plan(workspace.sweep(sweep))
        building = folder_of_making(workspace.tokens(plan.tokens_id)) if plan is not None else None
        if building is None or not is_locked(building):  # what a preparation that was killed has left says nothing
            return None
        return read_record(Preparation, building / PROGRESS_FILE)
    except DamageError:
        return None
