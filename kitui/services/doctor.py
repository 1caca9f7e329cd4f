"""Is a workspace sound? What `kitui doctor` finds out about it, beside what is so of its machine."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from engine.control.hosts.doctor import Finding
from engine.control.ledger.lock import Lock
from engine.control.ledger.state_file import read_state
from engine.control.leftovers import find_leftovers
from engine.control.room import shortage
from engine.errors import KituiError
from engine.records.leftovers import num_bytes
from engine.records.workspace import Workspace
from kitui.services.engine_commands import verify
from kitui.services.format import counted, size_of_bytes

_MANY = 5


def workspace_findings(workspace: Workspace, *, files: bool) -> Iterator[Finding]:
    """State, access, supervisor, disk and what could go; with `files`, whether each file is what was written, which
    reads all of them."""
    if not workspace.root.exists():
        yield Finding("state", True, f"there is no workspace at {workspace.root} yet")
        return
    try:
        state = read_state(workspace)
    except KituiError as error:
        yield Finding("state", False, error.what, error.mend)
        return
    words = f"{counted(len(workspace.sweep_names()), 'sweep')}, {counted(len(state.runs), 'run')}"
    yield Finding("state", True, f"{words} in {workspace.root}")
    inside = (workspace.root / "runs", workspace.root / "sweeps", workspace.queue, workspace.state)
    open_to_others = _open_to_others(workspace.root) if workspace.is_alone else _open_to_others(*inside)
    mend = f"kitui doctor --mend, or chmod -R go= {workspace.root}" if open_to_others else ""
    words = "other users of this machine can look into it" if open_to_others else "nobody else can look into it"
    yield Finding("access", not open_to_others, words, mend)
    yield _supervisor(workspace)
    full = shortage(workspace)
    yield Finding("room", full is None, full or "there is room for more runs")
    found = find_leftovers(workspace, state)
    if found.found:
        size = size_of_bytes(num_bytes(found.found))
        words = f"{counted(len(found.found), 'thing')} that nothing refers to, {size}: kitui clean removes them"
        yield Finding("leftovers", True, words)
    if files:
        yield from _files(workspace)


def _supervisor(workspace: Workspace) -> Finding:
    holder = Lock(workspace).holder()
    if holder is None:
        return Finding("supervisor", True, "none runs; the next order starts one")
    if holder.is_stopped:
        return Finding("supervisor", False, holder.stopped_words())
    return Finding("supervisor", True, f"process {holder.pid} on {holder.host}")


def _files(workspace: Workspace) -> Iterator[Finding]:
    names = workspace.sweep_names()
    if not names:
        return
    verified = verify(workspace, names).sweeps
    faults = [f"{one.name}: {fault}" for one in verified for fault in one.faults]
    if not faults:
        looked_at = sum(one.num_looked_at for one in verified)
        yield Finding("files", True, f"{looked_at:,} documents and what they name are what was written")
    for words in faults[:_MANY]:
        yield Finding("files", False, words)
    if faults:
        more = f"{len(faults):,} faults in all. " if len(faults) > _MANY else ""
        yield Finding("files", False, "damaged", f"{more}kitui doctor --mend makes anew what was trained here.")


def _open_to_others(*paths: Path) -> bool:
    others = stat.S_IRWXG | stat.S_IRWXO
    return any(path.exists() and path.stat().st_mode & others for path in paths)
