"""Launching a planned sweep: what is checked before, and what came of it in words. The command line and the designer
both launch this way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.control.commands import queue
from engine.control.launchers.local import visible_gpus
from engine.errors import LaunchError, SpecError
from engine.records.commands import Launch, Launched
from engine.records.hosts import known_host
from engine.records.states import ALL_HOSTS, LOCAL
from engine.records.workspace import Workspace
from kitui.services.engine_commands import PlannedSweep
from kitui.services.format import counted
from kitui.services.planning import check_budget


def check_targets(
    workspace: Workspace, hosts: Sequence[str], slots: int | None, caps: Mapping[str, float | None]
) -> None:
    """LaunchError for a host that is not known, or more slots than there are GPUs; SpecError for a cap on a host that
    the runs do not go to."""
    for host in hosts:
        known_host(workspace, host)
    gpus = visible_gpus()
    if slots and gpus and slots > len(gpus) and list(hosts) == [LOCAL]:
        raise LaunchError(
            f"there are {len(gpus)} GPUs here.", key="--slots", value=slots, mend="Ask for as many or fewer."
        )
    for host in [host for host in caps if host not in (*hosts, ALL_HOSTS)]:
        raise SpecError(
            "the runs do not go there.", key="--cap", value=host, mend=f"Add --host {host}, or leave it out."
        )


def launch(
    workspace: Workspace,
    planned: PlannedSweep,
    *,
    hosts: Sequence[str] = (LOCAL,),
    slots: int | None = None,
    priority: int | None = None,
    caps: Mapping[str, float | None] | None = None,
) -> Launched:
    """Hand a planned sweep to the supervisor, starting one if need be. Raises as `queue.launch` does, and SpecError
    where it would take more than its own file allows."""
    check_budget(planned, workspace, elsewhere=tuple(hosts) != (LOCAL,))
    given = {host: hours for host, hours in (caps or {}).items() if hours is not None}
    command = Launch(bundle=planned.raw, slots=slots, hosts=tuple(hosts), priority=priority, caps=given)
    return queue.launch(workspace, command)


def launched_words(answer: Launched) -> str:
    new = answer.cells - answer.done
    words = f"{answer.sweep}: {counted(new, 'run')} queued, {answer.done:,} of {answer.cells:,} already trained"
    if answer.orphaned:
        words += f"; {answer.orphaned:,} runs of its earlier form are no longer part of it (they are kept)"
    return words
