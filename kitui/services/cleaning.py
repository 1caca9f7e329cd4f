"""`kitui clean`: what a workspace could do without, in words, and having it removed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.control.ledger.state_file import read_state
from engine.control.leftovers import find_leftovers
from engine.errors import SpecError
from engine.records.leftovers import KINDS, Kind, LeftoversDocument, num_bytes
from engine.records.states import LOCAL
from engine.records.workspace import Workspace
from kitui.services.format import counted, size_of_bytes
from kitui.services.orders import give
from kitui.services.sweeps import known_sweep
from kitui.services.text import printable

_WORDS: dict[Kind, tuple[str, str]] = {
    "runs": ("run", "that no sweep has any more"),
    "weights": ("ended run", "without its weights, then, and so not to be scored again or exported"),
    "tokens": ("folder of token files", "that no sweep names"),
    "facts": ("file of facts", "that no sweep names"),
    "temporary": ("leftover", "of processes that died"),
}


_MANY = 20


def leftovers(workspace: Workspace, names: Sequence[str], *, weights: bool) -> LeftoversDocument:
    """What could go now. SpecError for a name without weights to remove, or of no sweep."""
    if names and not weights:
        raise SpecError("sweeps are named for their weights only.", value=", ".join(names), mend="Give --weights.")
    wanted = [known_sweep(workspace, name)[0] for name in names]
    state = read_state(workspace)
    return find_leftovers(workspace, state, (wanted or state.sweeps) if weights else None)


def clean(workspace: Workspace, names: Sequence[str], *, weights: bool, found: LeftoversDocument) -> str:
    """Have it removed by the supervisor, which looks again; what went, in words."""
    wanted = tuple(known_sweep(workspace, name)[0] for name in names)
    words = give(workspace, "clean", wanted, weights=weights)
    elsewhere = sorted({one.host for one in found.found if one.host != LOCAL})
    return words + (f"; {', '.join(elsewhere)} is cleaned when it next answers" if elsewhere else "")


def leftover_lines(document: LeftoversDocument) -> list[str]:
    """What could go, by kind: how much, and the first of it by name."""
    lines = []
    for kind in KINDS:
        here = [one for one in document.of(kind) if one.host == LOCAL]
        away = [one for one in document.of(kind) if one.host != LOCAL]
        one, about = _WORDS[kind]
        if here:
            lines.append(f"{_counted(len(here), one)} {about} · {size_of_bytes(num_bytes(here))}")
            lines += [f"  {printable(found.path)}" for found in here[:_MANY]]
            lines += [f"  … and {len(here) - _MANY:,} more"] if len(here) > _MANY else []
        if away:
            hosts = ", ".join(sorted({found.host for found in away}))
            lines.append(f"{_counted(len(away), one)} {about}, on {hosts} · not looked at there")
    return lines


def as_removed(document: LeftoversDocument) -> LeftoversDocument:
    return msgspec.structs.replace(document, removed=True)


def _counted(number: int, words: str) -> str:
    noun, _, rest = words.partition(" of ")
    return counted(number, noun) + (f" of {rest}" if rest else "")
