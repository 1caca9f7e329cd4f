"""`kitui verify`: what is damaged, and having it made anew."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import SpecError, StateError, nearest
from engine.records.workspace import Workspace
from kitui.cli.console import note, out, print_json
from kitui.services.format import counted
from kitui.services.sweeps import sweep_name
from kitui.services.verifying import Verified, verified, verified_document


def verify_sweeps(workspace: Workspace, names: Sequence[str], *, mend: bool, json: bool) -> None:
    """Print what was found. Leaves with code 3 where something is damaged and not being made anew."""
    known = workspace.sweep_names()
    wanted = [sweep_name(name) for name in names]
    for name in wanted:
        if name not in known:
            other = nearest(name, known) if known else "There is none yet."
            raise SpecError("no sweep has this name.", where=str(workspace.root), value=name, mend=other)
    found = [verified(workspace, name) for name in wanted or known]
    if json:
        print_json(verified_document(found))
    else:
        for one in found:
            _print(one)
    damaged = [one.sweep for one in found if one.faults]
    if not damaged:
        return
    if mend:
        from kitui.cli.base import order

        order(workspace, "mend", damaged)
        return
    what = "this sweep is damaged." if len(damaged) == 1 else "these sweeps are damaged."
    raise StateError(what, value=", ".join(damaged), mend=f"kitui verify {' '.join(damaged)} --mend makes it anew.")


def _print(one: Verified) -> None:
    if not one.faults:
        note(f"{one.sweep}: {counted(one.num_files, 'file')} and what they name are what was written")
    for fault in one.faults:
        out().print(f"{one.sweep}: {fault}", soft_wrap=True)
