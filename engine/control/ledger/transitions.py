"""How runs go from one status to the next, and nothing else does.

    (none) ── queue ──▶ queued ── start ──▶ running ── end ──▶ done, diverged, failed, lost, cancelled, paused
                          ▲                    │                                     │
                          └──── given back ────┘◀──────────── queue ─────────────────┘

A running run that is asked to end stays `running`, with what it is to become in `ending` (or `requeue`), until its
guard says that it has ended. A run's end is judged by what its guard and the run itself left behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from engine.control.ledger.ledger import Ledger
from engine.errors import DAMAGED, FAULT_IN_INPUTS, NO_ROOM, STOPPED_AFTER_CHECKPOINT
from engine.records.processes import ExitRecord
from engine.records.results import RunResult, summary_of
from engine.records.states import EndsAs, RunStatus

BookFault = Callable[[str, str, str], None]
"""Counts a run's end on its host: host, run, and the fault in words (none where it went well)."""


class Left(NamedTuple):
    """What an attempt has left behind: whether it got so far as to write a checkpoint, and how its log ends."""

    got_further: bool = False
    log_end: str = ""


_NOTHING = Left()


def queue(ledger: Ledger, run_id: str, reason: str = "") -> None:
    """To be started, or started again from its last checkpoint; what failed before is forgiven."""
    run = ledger.change_run(run_id)
    run.status, run.failures, run.reason = RunStatus.QUEUED, 0, reason


def start(ledger: Ledger, run_id: str, *, host: str, slot: str, num_processes: int, evaluation_id: str) -> int:
    """The next attempt is about to be started there; which one it is."""
    run = ledger.change_run(run_id)
    run.status, run.reason = RunStatus.RUNNING, ""
    run.attempt += 1
    run.host, run.slot, run.num_processes = host, slot, num_processes
    run.started_s, run.evaluation_id, run.weights_dropped = time.time(), evaluation_id, False
    return run.attempt


def began(ledger: Ledger, run_id: str) -> None:
    """Its attempt trains: what it has waited in a queue before was no use of a slot."""
    run = ledger.change_run(run_id)
    run.trained_on = run.host
    if run.waiting:
        run.waiting, run.started_s = "", time.time()


def ask_to_end(ledger: Ledger, run_id: str, ends_as: EndsAs) -> bool:
    """Cancel or pause a run; whether that changes anything."""
    run = ledger.runs.get(run_id)
    asked = RunStatus(ends_as)
    if run is None or run.status not in (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.PAUSED) or run.status is asked:
        return False
    run = ledger.change_run(run_id)
    if run.is_running:
        run.ending, run.requeue = ends_as, False
    else:
        run.status = asked
    return True


def take_back(ledger: Ledger, run_id: str) -> bool:
    """A run that is being ended is wanted again: if it has been asked to end already, it is queued then."""
    if not ledger.runs[run_id].ending:
        return False
    run = ledger.change_run(run_id)
    run.ending, run.requeue = None, run.stop_sent
    return True


def give_back(ledger: Ledger, run_id: str, moved_to: str | None = None) -> None:
    """Have a running run end after a checkpoint and be queued again, for `moved_to` where that is given."""
    run = ledger.change_run(run_id)
    run.requeue = True
    run.moved_to = moved_to or run.moved_to


def end(ledger: Ledger, run_id: str, status: RunStatus, reason: str = "") -> None:
    """The attempt is over, or was never begun."""
    run = ledger.change_run(run_id)
    run.status, run.reason = status, reason
    run.slot, run.ended_s, run.waiting = None, time.time(), ""
    run.ending, run.requeue, run.stop_sent = None, False, False
    ledger.newly_ended.add(run_id)


def attempt_ended(
    ledger: Ledger, run_id: str, ending: ExitRecord, result: RunResult | None, book: BookFault, left: Left = _NOTHING
) -> None:
    """Judge an attempt that its guard has seen end."""
    run = ledger.runs[run_id]
    if ending.returncode == 0 and result is not None:
        take_result(ledger, run_id, run.evaluation_id, result)
        end(ledger, run_id, RunStatus(result.status))
        book(run.host, run_id, "")
    elif run.requeue:
        end(ledger, run_id, RunStatus.QUEUED)
    elif run.ending:
        _end_as_asked(ledger, run_id, run.ending)
    elif ending.warned and ending.returncode == STOPPED_AFTER_CHECKPOINT:
        end(ledger, run_id, RunStatus.QUEUED, "its job was at its time limit: it goes on from its checkpoint")
    elif ending.signal or ending.returncode == STOPPED_AFTER_CHECKPOINT:
        words = f"ended by {ending.signal or 'a request to stop'} {ending.reason}".strip()
        # With a checkpoint written it got further than before: however often that happens, it comes to its end.
        counts = ending.returncode != STOPPED_AFTER_CHECKPOINT
        ended_from_outside(ledger, run_id, RunStatus.FAILED, words, book, counts=counts, left=left)
    elif ending.returncode == NO_ROOM:
        end(ledger, run_id, RunStatus.QUEUED, ending.reason)
    elif ending.returncode == DAMAGED:
        prepare_again(ledger, run_id)
        ended_from_outside(ledger, run_id, RunStatus.FAILED, ending.reason, book, left=left)
    else:
        # The same inputs would fail again in the same way: that is for a person to look at.
        words = ending.reason or f"exit code {ending.returncode}"
        at_fault = ending.returncode == FAULT_IN_INPUTS or not _is_on_trial(ledger, run.host)
        end(ledger, run_id, RunStatus.FAILED if at_fault else RunStatus.QUEUED, words)
        if ending.returncode != FAULT_IN_INPUTS:
            book(run.host, run_id, words)


def ended_from_outside(
    ledger: Ledger,
    run_id: str,
    status: RunStatus,
    reason: str,
    book: BookFault,
    *,
    counts: bool = True,
    left: Left = _NOTHING,
) -> None:
    """An end that says nothing of the run itself: it is started again from its checkpoint. Where it `counts`, some ends
    in a row without a checkpoint in between are too many: the run is set aside with `status`."""
    run = ledger.runs[run_id]
    limit = max((sweep.max_attempts for sweep in ledger.sweeps_of(run_id)), default=1)
    if run.requeue:
        end(ledger, run_id, RunStatus.QUEUED)
    elif run.ending:
        _end_as_asked(ledger, run_id, run.ending)
    elif not counts:
        end(ledger, run_id, RunStatus.QUEUED, reason)
    elif _is_on_trial(ledger, run.host):
        end(ledger, run_id, RunStatus.QUEUED, reason)
        book(run.host, run_id, reason)
    else:
        run = ledger.change_run(run_id)
        run.failures = 0 if left.got_further else run.failures + 1
        again = run.failures < limit and limit > 1
        words = reason if again else f"{reason} ({_times(run.failures)})"
        if left.log_end and not again:
            words += f"; its log ends: {left.log_end}"
        end(ledger, run_id, RunStatus.QUEUED if again else status, words)
        if not left.got_further:
            book(run.host, run_id, reason)


def _is_on_trial(ledger: Ledger, host: str) -> bool:
    """Whether a host was set aside: what a run does there, to see how the host stands, is no failure of the run's."""
    known = ledger.hosts.get(host)
    return known is not None and bool(known.set_aside)


def _times(failures: int) -> str:
    return "once" if failures <= 1 else f"{failures} times without a checkpoint in between"


def take_result(ledger: Ledger, run_id: str, evaluation_id: str, result: RunResult) -> None:
    """Put a run's result into the state."""
    run = ledger.change_run(run_id)
    run.results = run.results | {evaluation_id: summary_of(result)}


def find_result(ledger: Ledger, run_id: str, evaluation_id: str, result: RunResult) -> None:
    """A result was there without the state knowing it."""
    if run_id not in ledger.runs:
        ledger.change_run(run_id).attempt = result.attempt
    take_result(ledger, run_id, evaluation_id, result)
    run = ledger.change_run(run_id)
    run.status, run.failures, run.reason = RunStatus(result.status), 0, ""


def lose_result(ledger: Ledger, run_id: str, evaluation_id: str) -> None:
    """The result that a run was known by is damaged or gone."""
    run = ledger.change_run(run_id)
    run.results = {name: summary for name, summary in run.results.items() if name != evaluation_id}


def prepare_again(ledger: Ledger, run_id: str) -> None:
    """What a run reads is not what was written: its sweeps are prepared again, which makes that anew."""
    for sweep in ledger.sweeps_of(run_id):
        if sweep.active:
            changed = ledger.change_sweep(sweep.name)
            changed.prepared, changed.asked_s = None, time.time()


def book_use(ledger: Ledger, run_id: str, seconds: float) -> None:
    """Add what an attempt has taken of its host's slots, in seconds of one."""
    run = ledger.change_run(run_id)
    run.used_s = run.used_s | {run.host: run.used_s.get(run.host, 0.0) + seconds * run.num_processes}


def _end_as_asked(ledger: Ledger, run_id: str, ends_as: EndsAs) -> None:
    end(ledger, run_id, RunStatus(ends_as), "" if ends_as == "paused" else "cancelled")
