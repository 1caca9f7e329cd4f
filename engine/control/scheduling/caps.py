"""Caps: how many hours of slots (GPU-hours; of cores, where a host has no GPU) a sweep may take on a host."""

from __future__ import annotations

from engine.records.states import ALL_HOSTS, Runs, RunState, SweepState


def used_s(sweep: SweepState, host: str, runs: Runs, now_s: float) -> float:
    """Seconds of slots that a sweep's runs have taken there (or on all hosts), in all attempts, those that go on
    included."""
    theirs = (runs[run_id] for run_id in sweep.run_ids if run_id in runs)
    if host == ALL_HOSTS:
        return sum(sum(run.used_s.values()) + going_on_s(run, now_s) for run in theirs)
    return sum(run.used_s.get(host, 0.0) + (going_on_s(run, now_s) if run.host == host else 0.0) for run in theirs)


def going_on_s(run: RunState, now_s: float) -> float:
    """Seconds of slots that a run's attempt has taken so far; nothing while it waits in a queue, or does not run."""
    if not run.is_running or run.waiting or run.started_s is None:
        return 0.0
    return max(0.0, now_s - run.started_s) * run.num_processes  # the clock may have been set back


def used_up(sweep: SweepState, runs: Runs, now_s: float) -> dict[str, float]:
    """The hosts whose caps a sweep has used up (`ALL_HOSTS` among them), with those caps in hours."""
    return {host: hours for host, hours in sweep.caps.items() if used_s(sweep, host, runs, now_s) >= 3600 * hours}
