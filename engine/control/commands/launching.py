"""Launching a sweep, or its new form: runs that are done stay done, and only new cells are trained."""

from __future__ import annotations

import time

from engine.control.commands.mending import queue_if_damaged
from engine.control.commands.parts import Parts
from engine.control.ledger import transitions
from engine.errors import StateError
from engine.records.bundle import whole_bundle
from engine.records.commands import Launch, Launched
from engine.records.hosts import known_host
from engine.records.record import write_record
from engine.records.states import ALL_HOSTS, LOCAL, RunStatus, SweepState

_QUEUED_AGAIN = (RunStatus.CANCELLED, RunStatus.FAILED, RunStatus.LOST, RunStatus.PAUSED)


def launch(parts: Parts, command: Launch) -> Launched:
    """Take a sweep in. StateError where its name is that of results from elsewhere; LaunchError for an unknown host."""
    bundle = whole_bundle(command.bundle)
    name, ledger = bundle.plan.sweep, parts.ledger
    folder = parts.workspace.sweep(name)
    if folder.results.exists():
        raise StateError("an imported or simulated sweep has this name.", where=str(folder.root), mend="Rename yours.")
    for host in command.hosts or ():
        known_host(parts.workspace, host)
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_record(folder.bundle, command.bundle, indented=False)
    folder.sweep_toml.write_text(bundle.sweep_toml, encoding="utf-8")
    parts.preparing.stop(name)  # its earlier form
    parts.bundles.put(name, bundle)
    run_ids = tuple(run.run_id for run in bundle.runs)
    num_done = sum(_queue(parts, run_id, bundle.plan.evaluation_id) for run_id in run_ids)
    previous = ledger.sweeps.get(name) or SweepState(name=name)
    now_s = time.time()
    ledger.put_sweep(
        SweepState(
            name=name,
            active=True,
            run_ids=run_ids,
            evaluation_id=bundle.plan.evaluation_id,
            slots=command.slots or bundle.slots,
            hosts=tuple(dict.fromkeys(command.hosts or (LOCAL,))),
            priority=previous.priority if command.priority is None else command.priority,
            caps=_caps(previous, command, bundle.max_gpu_hours),
            max_disk_bytes=bundle.max_disk_bytes,
            max_attempts=bundle.max_attempts,
            most_processes=max(run.num_processes for run in bundle.runs),
            launched_s=now_s,
            asked_s=now_s,
        )
    )
    orphaned = len(set(previous.run_ids) - set(run_ids))
    return Launched(sweep=name, cells=len(run_ids), done=num_done, orphaned=orphaned)


def _caps(previous: SweepState, command: Launch, max_gpu_hours: float | None) -> dict[str, float]:
    """What was given before holds on; for all hosts together, what the file or this launch says."""
    before = {host: hours for host, hours in previous.caps.items() if host != ALL_HOSTS}
    in_all = {} if max_gpu_hours is None else {ALL_HOSTS: max_gpu_hours}
    return before | in_all | (command.caps or {})


def _queue(parts: Parts, run_id: str, evaluation_id: str) -> bool:
    """Have a run trained unless it is, or is being; whether it is done."""
    if queue_if_damaged(parts, run_id, evaluation_id):
        return False
    if parts.results.has(run_id, evaluation_id):
        return True
    run = parts.ledger.runs.get(run_id)
    if run is None or run.status in _QUEUED_AGAIN:
        transitions.queue(parts.ledger, run_id)
    else:
        transitions.take_back(parts.ledger, run_id)
    return False
