"""What the supervisor does when it is told to. Each command changes the state; the next round carries it out."""

from __future__ import annotations

import time
from typing import assert_never

from engine.control.commands import cleaning, deletion, ending, hosts, launching, mending
from engine.control.commands.parts import Parts
from engine.records.commands import (
    Archive,
    Cancel,
    Cap,
    Clean,
    Command,
    Delete,
    Drain,
    Launch,
    Launched,
    Mend,
    Move,
    Obeyed,
    Pause,
    Prioritise,
    Reopen,
    Resume,
    Retry,
    Undelete,
)
from engine.records.states import RunStatus


def obey(parts: Parts, command: Command) -> Launched | Obeyed:
    """Carry a command out. KituiError says what is wrong with it, before anything is changed."""
    match command:
        case Launch():
            return launching.launch(parts, command)
        case Cancel(names=names):
            return Obeyed(runs=ending.end_runs(parts, names, "cancelled"))
        case Pause(names=names):
            return Obeyed(runs=ending.end_runs(parts, names, "paused"))
        case Retry(names=names):
            again = (RunStatus.FAILED, RunStatus.LOST, RunStatus.CANCELLED)
            return Obeyed(runs=ending.queue_again(parts, names, again))
        case Resume(names=names):
            return Obeyed(runs=ending.queue_again(parts, names, (RunStatus.PAUSED,)))
        case Archive(names=names, archived=archived):
            _archive(parts, names, archived)
        case Delete(names=names, for_good=for_good):
            deletion.purge_expired(parts, time.time())
            return Obeyed(runs=deletion.delete(parts, names, for_good=for_good))
        case Undelete(names=names):
            return Obeyed(runs=deletion.undelete(parts, names))
        case Clean(names=names, weights=weights):
            deletion.purge_expired(parts, time.time())
            return cleaning.clean(parts, names, weights=weights)
        case Prioritise(names=names, priority=priority):
            hosts.prioritise(parts, names, priority)
        case Cap(names=names, caps=caps):
            hosts.cap(parts, names, caps)
        case Move(names=names, host=host):
            return Obeyed(runs=hosts.move(parts, names, host))
        case Mend(names=names):
            return Obeyed(runs=mending.mend(parts, names))
        case Drain(names=names, now=now):
            return Obeyed(runs=hosts.drain(parts, names, now=now))
        case Reopen(names=names):
            hosts.reopen(parts, names)
        case _:
            assert_never(command)
    return Obeyed()


def _archive(parts: Parts, names: tuple[str, ...], archived: bool) -> None:
    """Take sweeps out of the lists, or back into them. Nothing else about them changes."""
    there = parts.workspace.sweep_names()
    for name in names:
        if name not in parts.ledger.sweeps and name not in there:
            raise parts.no_sweep(name)
    for name in names:
        if name in parts.ledger.sweeps:
            parts.ledger.change_sweep(name).archived = archived
        elif archived:
            parts.workspace.sweep(name).archived.touch()
        else:
            parts.workspace.sweep(name).archived.unlink(missing_ok=True)
