"""Forecasts: how long runs take and how much they write, from the probe and, as they come in, from finished runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from engine.records.plan import Plan, PlannedCell
from engine.records.record import Record
from engine.records.states import Runs, RunSummary
from engine.spec.runspec import RunSpec, content_id

# Beside training itself: scoring, checkpoints, start.
_OVERHEAD_S = 1.0
_RECORDS_BYTES = 200_000


class Rate(Record, frozen=True, kw_only=True):
    """Training speed of one model on one device, measured."""

    model: str
    num_params: int
    train_flops_per_token: float
    tokens_per_s: float


class Probe(Record, frozen=True, kw_only=True):
    """`probe.json`: what this machine was measured to do, by shape."""

    device: str
    host: str = ""
    num_threads: int
    process_bytes: int | None = None
    """Resident memory of a training process before it has a model: mostly PyTorch itself."""
    rates: dict[str, Rate]
    """By a key of all that the speed depends on: model, vocabulary, context, batch, precision."""


def shape_key(run: RunSpec, vocab_size: int) -> str:
    """What a measured speed holds for: runs with the same key train equally fast."""
    training = run.training
    shape = run.model.identity()
    return content_id([shape, vocab_size, training.context_length, training.batch_size, training.precision])


def known_rates(measured: Probe | None, host: str, runs: Iterable[RunSpec], vocab_size: int) -> dict[str, Rate] | None:
    """Speeds by model from what was measured on this host before; None where a model is still to be measured."""
    if measured is None or measured.host != host:
        return None
    keys = {run.model.name: shape_key(run, vocab_size) for run in runs}
    if not all(key in measured.rates for key in keys.values()):
        return None
    return {model: measured.rates[key] for model, key in keys.items()}


class Cost(NamedTuple):
    """What a set of cells takes: seconds of slots, and whether all of it is measured."""

    slot_s: float
    longest_s: float
    measured: bool
    num_runs: int = 0


def flops_per_token(cell: PlannedCell) -> float | None:
    """FLOPs of training on one token; None where they are not known."""
    tokens = cell.total_tokens or cell.num_tokens
    return cell.train_flops / tokens if cell.train_flops else None


def cell_seconds(cell: PlannedCell, rates: Mapping[str, float], flops_per_s: float | None) -> float | None:
    """Seconds one run takes: by its model's measured tokens/s of a process, or else by the arithmetic rate of other
    measurements."""
    tokens = cell.total_tokens or cell.num_tokens
    if cell.model in rates:
        return _OVERHEAD_S + tokens / (rates[cell.model] * cell.num_processes)
    if flops_per_s and cell.train_flops:
        return _OVERHEAD_S + cell.train_flops / (flops_per_s * cell.num_processes)
    return None


def cost(cells: Iterable[PlannedCell], rates: Mapping[str, float], flops_per_s: float | None) -> Cost | None:
    """What these cells take together; None where nothing was measured for one of them."""
    total, longest, measured, num_runs = 0.0, 0.0, True, 0
    for cell in cells:
        seconds = cell_seconds(cell, rates, flops_per_s)
        if seconds is None:
            return None
        total, longest = total + seconds * cell.num_processes, max(longest, seconds)
        measured &= cell.model in rates
        num_runs += 1
    return Cost(total, longest, measured, num_runs)


def eta_s(remaining: Cost, num_slots: int) -> float:
    """Seconds until the last run ends, if runs fill the slots one after the other."""
    return max(remaining.longest_s, remaining.slot_s / max(1, num_slots))


def rates_of_runs(plan: Plan, runs: Runs) -> dict[str, float]:
    """Tokens/s of a process by model over whole runs, all included, from the state's summaries of finished runs."""
    tokens: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for cell in plan.cells:
        summary = _summary(plan, runs, cell)
        # A first attempt that trained: others took over from a checkpoint, and their time is not that of the whole run.
        if summary and summary.attempt == 1 and summary.tokens_per_s:
            tokens[cell.model] = tokens.get(cell.model, 0.0) + summary.trained_tokens
            seconds[cell.model] = seconds.get(cell.model, 0.0) + summary.elapsed_s * cell.num_processes
    return {model: tokens[model] / seconds[model] for model in tokens if seconds[model] > 0}


def spread_of_runs(plan: Plan, runs: Runs) -> float | None:
    """How far whole runs lie from their model's mean time: the sample standard deviation of ln(time / mean time).
    None with fewer than three runs."""
    times: dict[str, list[float]] = {}
    for cell in plan.cells:
        summary = _summary(plan, runs, cell)
        if summary and summary.attempt == 1 and summary.elapsed_s:
            times.setdefault(cell.model, []).append(summary.elapsed_s / (cell.total_tokens or cell.num_tokens))
    logs = [math.log(t / (sum(ts) / len(ts))) for ts in times.values() for t in ts]
    freedom = len(logs) - len(times)
    return math.sqrt(sum(x * x for x in logs) / freedom) if freedom >= 2 else None


def _summary(plan: Plan, runs: Runs, cell: PlannedCell) -> RunSummary | None:
    run = runs.get(cell.run_id)
    return run.results.get(plan.evaluation_id) if run is not None else None


def eta_interval_s(remaining: Cost, num_slots: int, spread: float) -> tuple[float, float]:
    """Nine times in ten the last run ends between these: the slots share about equal parts of what is left, whose
    deviations average out over the runs of a slot, and the whole is as uncertain as its mean speed."""
    middle = eta_s(remaining, num_slots)
    runs_a_slot = max(1.0, remaining.num_runs / max(1, num_slots))
    scale = 1.645 * spread * math.sqrt(1 / runs_a_slot + 1 / max(1, remaining.num_runs))
    return middle * math.exp(-scale), middle * math.exp(scale)


def flops_rate(plan: Plan, rates: Mapping[str, float]) -> float | None:
    """The arithmetic rate, FLOP/s, of the largest model measured: the nearest guess for larger ones."""
    measured = [c for c in plan.cells if c.model in rates and flops_per_token(c)]
    if not measured:
        return None
    largest = max(measured, key=lambda c: c.num_params)
    per_token = flops_per_token(largest)
    return None if per_token is None else rates[largest.model] * per_token


def disk_bytes(plan: Plan, keep_weights: str) -> int:
    """Bytes that the runs leave: weights in fp32 as kept, and about 200 kB of metrics, results and logs each."""
    kept = 0 if keep_weights == "none" else 4
    return sum(_RECORDS_BYTES + kept * _params(cell) for cell in plan.cells)


def training_disk_bytes(cell: PlannedCell) -> int:
    """Bytes that a run takes at most while it trains: two checkpoints with the optimizer's state, one that is being
    written, and its records."""
    return _RECORDS_BYTES + 3 * 12 * _params(cell)


def most_disk_bytes(plan: Plan, keep_weights: str) -> int:
    """The same while the last of the runs trains, beside what the others have left."""
    return disk_bytes(plan, keep_weights) + max(map(training_disk_bytes, plan.cells), default=0)


def _params(cell: PlannedCell) -> int:
    return cell.num_params_total or cell.num_params
