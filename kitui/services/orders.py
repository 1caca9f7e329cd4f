"""Orders about sweeps, runs and hosts: the verbs that a person has for them, what is asked before, what is said after.
The command line and the app both read this list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import SpecError
from engine.records.states import RunStatus
from kitui.services.format import counted, size_of_bytes

if TYPE_CHECKING:  # the words alone are wanted by help
    from engine.records.commands import Obeyed
    from engine.records.workspace import Workspace


class Verb(NamedTuple):
    """What may be done to runs and sweeps, in the words of both faces."""

    name: str
    about: str
    """The help of its command."""
    done: Callable[[Any, Obeyed], str]
    """What came of it, from the order and its answer."""
    about_sweeps: str = ""
    """What it means for sweeps; where there is something here, it is asked before."""
    about_runs: str = ""
    about_hosts: str = ""
    needs_open: bool = False
    """Whether it means nothing for what has ended."""
    takes_names_only: bool = False
    """Whether sweeps or runs are all that it takes: the command line makes its command of what stands here."""


def _runs(words: str) -> Callable[[Any, Obeyed], str]:
    return lambda _order, answer: f"{counted(answer.runs, 'run')} {words}"


def _clean_words(_order: Any, answer: Obeyed) -> str:
    runs = f", {counted(answer.runs, 'run')} gone" if answer.runs else ""
    return f"{size_of_bytes(answer.freed_bytes)} freed{runs}"


def _deletion_words(order: Any, answer: Obeyed) -> str:
    words = "deleted" + (f", with {counted(answer.runs, 'run')} that no other sweep wants" if answer.runs else "")
    return words if order.for_good else f"{words}: kitui undelete {' '.join(order.names)} has it back"


def _cap_words(order: Any, _answer: Obeyed) -> str:
    caps = {host: "none" if hours is None else f"{hours:g} GPU-hours" for host, hours in order.caps.items()}
    return "cap on " + ", ".join(f"{host}: {words}" for host, words in caps.items())


_VERBS = (
    Verb(
        "cancel", "End runs; what a sweep shares with another active sweep goes on. Checkpoints are kept.",
        _runs("cancelled"),
        about_sweeps="Running runs end after a checkpoint; what another sweep wants goes on.",
        about_runs="A running one ends after a checkpoint.", needs_open=True, takes_names_only=True,
    ),
    Verb(
        "pause", "End runs after a checkpoint, and start none of them until resumed.", _runs("paused"),
        about_sweeps="Running runs end after a checkpoint, and go on from there when resumed.",
        about_runs="A running one ends after a checkpoint, and goes on from there when resumed.",
        needs_open=True, takes_names_only=True,
    ),
    Verb(
        "resume", "Go on with paused runs, from their checkpoints.", _runs("queued again"), takes_names_only=True,
    ),
    Verb(
        "retry",
        "Queue failed, lost and cancelled runs again, and such as have a damaged result, from their last checkpoints.",
        _runs("queued again"), takes_names_only=True,
    ),
    Verb(
        "mend", "Make anew what is damaged of sweeps: token files, plan, facts, law, and results.",
        lambda order, answer: f"made anew: {', '.join(order.names)}; {counted(answer.runs, 'run')} queued again for it",
    ),
    Verb(
        "archive", "Take sweeps out of the lists; nothing else about them changes.",
        lambda order, _: "archived" if order.archived else "back in the list",
    ),
    Verb(
        "delete", "Delete sweeps and the runs that no other sweep wants; for 7 days they can be had back.",
        _deletion_words,
        about_sweeps="The runs that no other sweep wants go with it; for 7 days kitui undelete has it back.",
    ),
    Verb(
        "undelete", "Have deleted sweeps back, with their runs, within 7 days; without names, list them.",
        lambda order, answer: f"{', '.join(order.names)} back"
        + (f", with {counted(answer.runs, 'run')}" if answer.runs else ""),
    ),
    Verb(
        "clean",
        "Remove what nothing refers to: runs that no sweep has, token files, leftovers of processes that died.",
        _clean_words,
    ),
    Verb(
        "prioritise", "Have a sweep's queued runs start before those of sweeps with a lower number.",
        lambda order, _: f"priority {order.priority}",
    ),
    Verb(
        "cap", "Limit the GPU-hours that a sweep takes on a host. At the limit its runs there end after a checkpoint.",
        _cap_words,
    ),
    Verb(
        "move",
        "Have queued runs, or such as wait in a cluster's queue, start on this host; what trains already stays.",
        _runs("to start there"),
    ),
    Verb(
        "drain", "Start nothing more on these hosts; what runs there goes on to its end.",
        lambda _, answer: f"nothing more is started there; {counted(answer.runs, 'run')} still there",
        about_hosts="Its runs end after a checkpoint, and start again on other hosts. Nothing more is started there.",
    ),
    Verb(
        "reopen", "Start runs again on hosts that were drained, or set aside after failures in a row.",
        lambda order, _: f"runs may start again on {', '.join(order.names)}",
    ),
)  # fmt: skip
VERBS = {verb.name: verb for verb in _VERBS}


def verbs_of(statuses: Collection[RunStatus]) -> dict[str, bool]:
    """Which of the verbs for runs mean something where the runs stand so."""
    is_open = any(status.is_open for status in statuses)
    is_held = RunStatus.PAUSED in statuses
    return {
        "cancel": is_open or is_held,
        "pause": is_open,
        "resume": is_held,
        "retry": any(status.is_trouble for status in statuses) or RunStatus.CANCELLED in statuses,
    }


def give(workspace: Workspace, verb: str, names: Sequence[str], **details: object) -> str:
    """Hand an order to the supervisor; what came of it, in words. Raises as `queue.order` does, and SpecError where
    there is no workspace."""
    import msgspec

    from engine.control.commands import queue
    from engine.records.commands import Order

    if not (workspace.root.is_dir() and any(workspace.root.iterdir())):
        raise SpecError(
            "there is no workspace here.", where=str(workspace.root), mend="kitui launch SWEEP.toml makes one."
        )
    order: Order = msgspec.convert({"command": verb, "names": list(names), **details}, Order)
    return VERBS[verb].done(order, queue.order(workspace, order))


def question(verb: str, names: Sequence[str], consequences: str) -> str:
    """What is asked before an order is given. `consequences`: of the verb, for what the names are of."""
    subject = names[0] if len(names) == 1 else counted(len(names), "run")
    return f"{verb.capitalize()} {subject}? {consequences}"
