"""`kitui verify`: what is damaged, and having it made anew."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import SpecError, StateError, nearest
from engine.records.verified import VerifiedDocument, VerifiedSweep
from engine.records.workspace import Workspace
from kitui.cli.base import order
from kitui.cli.console import note, out, print_json
from kitui.services.engine_commands import verify
from kitui.services.format import counted
from kitui.services.sweeps import sweep_name


def verify_sweeps(workspace: Workspace, names: Sequence[str], *, mend: bool, json: bool) -> None:
    """Print what was found. Leaves with code 3 where something is damaged and not being made anew."""
    known = workspace.sweep_names()
    wanted = [sweep_name(name) for name in names]
    for name in wanted:
        if name not in known:
            other = nearest(name, known) if known else "There is none yet."
            raise SpecError("no sweep has this name.", where=str(workspace.root), value=name, mend=other)
    found = verify(workspace, wanted or known)
    if json:
        print_json(found)
    else:
        for one in found.sweeps:
            _print(one)
        if not found.sweeps:
            note(f"there are no sweeps in {workspace.root}")
    mendable, damaged = damaged_of(workspace, found)
    if mend and mendable:
        order(workspace, "mend", mendable)
        mendable = []
    if damaged := [*mendable, *damaged]:
        what = "this sweep is damaged." if len(damaged) == 1 else "these sweeps are damaged."
        again = f"kitui verify {' '.join(mendable)} --mend makes anew what was trained here."
        raise StateError(what, value=", ".join(damaged), mend=again if mendable else "Import it again.")


def damaged_of(workspace: Workspace, found: VerifiedDocument) -> tuple[list[str], list[str]]:
    """The damaged sweeps: those that can be made anew, and those that were imported."""
    damaged = [one.name for one in found.sweeps if one.faults]
    mendable = [name for name in damaged if workspace.sweep(name).bundle.exists()]
    return mendable, [name for name in damaged if name not in mendable]


def _print(one: VerifiedSweep) -> None:
    if not one.faults:
        note(f"{one.name}: sound; {counted(one.num_looked_at, 'document')} and what they name are what was written")
    for fault in one.faults:
        out().print(f"{one.name}: {fault}", soft_wrap=True)
