"""Ending runs and queueing them again: cancel, pause, resume, retry."""

from __future__ import annotations

import time

from engine.control.commands.mending import queue_if_damaged
from engine.control.commands.parts import Parts
from engine.control.ledger import transitions
from engine.records.states import EndsAs, RunStatus


def end_runs(parts: Parts, names: tuple[str, ...], ends_as: EndsAs) -> int:
    """Cancel or pause. Of a sweep, the runs end that no other active sweep wants; a run named itself ends."""
    parts.check_names(names)
    ledger, ended = parts.ledger, 0
    for name in names:
        if name in ledger.sweeps:
            sweep = ledger.change_sweep(name)
            sweep.active, sweep.paused = False, ends_as == "paused"
            wanted = {r for s in ledger.sweeps.values() if s.active for r in s.run_ids}
            if ends_as == "cancelled":  # a paused sweep still wants its runs, later
                paused = {r for s in ledger.sweeps.values() if s.paused for r in s.run_ids}
                for run_id in sweep.run_ids:
                    if run_id in paused and run_id not in wanted:
                        transitions.ask_to_end(ledger, run_id, "paused")
                wanted |= paused
            chosen = [r for r in sweep.run_ids if r not in wanted]
            parts.preparing.stop(name)
        else:
            chosen = [parts.known_run(name)]
        ended += sum(transitions.ask_to_end(ledger, run_id, ends_as) for run_id in chosen)
    return ended


def queue_again(parts: Parts, names: tuple[str, ...], statuses: tuple[RunStatus, ...]) -> int:
    """Retry or resume: runs of these statuses are queued again, and go on from their last checkpoints."""
    ledger, queued = parts.ledger, 0
    sweeps = [name if name in ledger.sweeps else parts.latest_sweep_of(parts.known_run(name)).name for name in names]
    for name, sweep in zip(names, sweeps, strict=True):
        chosen, before = parts.runs_of(name), queued
        for run_id in chosen:
            evaluation_id = ledger.sweeps[sweep].evaluation_id
            if RunStatus.FAILED in statuses and queue_if_damaged(parts, run_id, evaluation_id):
                queued += 1
            elif ledger.runs[run_id].status in statuses:
                transitions.queue(ledger, run_id)
                queued += 1
            else:
                queued += transitions.take_back(ledger, run_id)
        if queued > before or (name == sweep and _waits_for_preparation(parts, sweep)):
            _reopen(parts, sweep)
    return queued


def _waits_for_preparation(parts: Parts, name: str) -> bool:
    """Whether a sweep has queued runs that nobody prepares: a preparation that failed is to be tried again."""
    sweep = parts.ledger.sweeps[name]
    return not sweep.active and any(parts.ledger.runs[r].status is RunStatus.QUEUED for r in sweep.run_ids)


def _reopen(parts: Parts, name: str) -> None:
    sweep = parts.ledger.change_sweep(name)
    sweep.active, sweep.paused = True, False
    sweep.ended_s = sweep.eta_at_s = sweep.eta_between_s = None
    if sweep.prepare_error or sweep.host_faults:  # to be prepared again where that failed
        sweep.asked_s, sweep.host_faults = time.time(), {}
    if sweep.prepare_error:
        sweep.prepared, sweep.prepare_error = None, None
