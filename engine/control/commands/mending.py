"""Mending a sweep: what is damaged is made again, by the means that made it."""

from __future__ import annotations

import time

from engine.control.commands.parts import Parts
from engine.control.ledger import transitions
from engine.errors import StateError
from engine.records.plan import read_plan


def mend(parts: Parts, names: tuple[str, ...]) -> int:
    """Have everything of these sweeps made anew that is not what was written; how many runs are queued again for it.

    Facts, token files and the plan are made when a sweep is prepared; a run whose result is damaged goes on from its
    last sound checkpoint; the law follows. DamageError where a sweep's bundle, which all else is made from, is damaged.
    """
    sweeps = [parts.known_sweep(name) for name in names]
    for sweep in sweeps:
        parts.bundles.forget(sweep.name)  # what is on disk counts, not what was read before
        parts.bundles.bundle(sweep.name)
    queued = 0
    for sweep in sweeps:
        plan = parts.workspace.sweep(sweep.name).plan
        try:
            read_plan(plan)
        except StateError:
            plan.unlink()  # until it is made anew, the one that the sweep was launched with serves
        queued += sum(queue_if_damaged(parts, run_id, sweep.evaluation_id) for run_id in sweep.run_ids)
        parts.preparing.stop(sweep.name)
        changed = parts.ledger.change_sweep(sweep.name)
        changed.active, changed.paused = True, False
        changed.prepared, changed.prepare_error, changed.host_faults = None, None, {}
        changed.asked_s, changed.ended_s = time.time(), None
    return queued


def queue_if_damaged(parts: Parts, run_id: str, evaluation_id: str) -> bool:
    """Queue a scored run again whose result is not what was written, or is gone; whether it was so."""
    fault = parts.results.fault(run_id, evaluation_id)
    if fault is None:
        return False
    transitions.lose_result(parts.ledger, run_id, evaluation_id)
    transitions.queue(parts.ledger, run_id, fault)
    return True
