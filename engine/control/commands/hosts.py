"""Hosts, and what goes where: priorities, caps, moving runs, draining and reopening hosts."""

from __future__ import annotations

from engine.control.commands.parts import Parts
from engine.control.ledger import transitions
from engine.errors import SpecError, nearest
from engine.records.hosts import known_host
from engine.records.states import ALL_HOSTS, RunStatus


def prioritise(parts: Parts, names: tuple[str, ...], priority: int) -> None:
    """Have the runs of these sweeps start before those of sweeps with a lower number."""
    for name in names:
        parts.known_sweep(name)
    for name in names:
        parts.ledger.change_sweep(name).priority = priority


def cap(parts: Parts, names: tuple[str, ...], caps: dict[str, float | None]) -> None:
    """Limit the GPU-hours that a sweep's runs take on hosts; None takes a limit away."""
    for name in names:
        sweep = parts.known_sweep(name)
        for host in caps:
            if host not in (*sweep.hosts, ALL_HOSTS):
                raise SpecError(f"{name} is not trained there.", value=host, mend=nearest(host, sweep.hosts))
    for name in names:
        sweep = parts.ledger.change_sweep(name)
        kept = sweep.caps | caps
        sweep.caps = {host: hours for host, hours in kept.items() if hours is not None}


def move(parts: Parts, names: tuple[str, ...], host: str) -> int:
    """Have runs that are queued, or wait in a cluster's queue, start on this host. What trains already stays."""
    chosen = [run_id for name in names for run_id in parts.runs_of(name)]
    for run_id in chosen:
        sweep = parts.latest_sweep_of(run_id)
        if host not in sweep.hosts:
            raise SpecError(
                f"{sweep.name} is not prepared there.",
                value=host,
                mend=f"Launch it again with --host {host} beside {', '.join(sweep.hosts)}.",
            )
    moved = 0
    for run_id in chosen:
        run = parts.ledger.runs[run_id]
        if run.status is RunStatus.QUEUED or run.waiting:
            if run.is_running and run.host != host:
                transitions.give_back(parts.ledger, run_id, moved_to=host)
            else:
                parts.ledger.change_run(run_id).moved_to = host
            moved += 1
    return moved


def drain(parts: Parts, names: tuple[str, ...], *, now: bool) -> int:
    """Start nothing more on these hosts. What runs there goes on to its end; or, at once, to a checkpoint, and is
    queued again for other hosts. How many runs are there."""
    for name in names:
        known_host(parts.workspace, name)
    there = 0
    for name in names:
        parts.ledger.change_host(name).drained = True
        for run_id, run in parts.ledger.runs.items():
            if run.is_running and run.host == name and not run.ending:
                if now or run.waiting:
                    transitions.give_back(parts.ledger, run_id)
                there += 1
    return there


def reopen(parts: Parts, names: tuple[str, ...]) -> None:
    """Start runs again on hosts that were drained or set aside."""
    for name in names:
        known_host(parts.workspace, name)
    for name in names:
        host = parts.ledger.change_host(name)
        host.drained, host.set_aside, host.failed = False, "", ()
