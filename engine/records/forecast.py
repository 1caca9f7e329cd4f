"""Forecasts: how long runs take and how much they write, from the probe and, as they come in, from finished runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.records.metrics import Record
from engine.records.results import Plan, PlannedCell

# Beside training itself: scoring, checkpoints, start.
_OVERHEAD_S = 1.0


class Rate(Record):
    """Training speed of one model on one device, measured."""

    model: str
    num_params: int
    train_flops_per_token: float
    tokens_per_s: float


class Probe(Record):
    """`probe.json`: what this machine was measured to do, by shape."""

    device: str
    num_threads: int
    rates: dict[str, Rate]
    """By a key of all that the speed depends on: model, vocabulary, context, batch, precision."""


class Cost(NamedTuple):
    """What a set of cells takes: seconds of slots, and whether all of it is measured."""

    slot_s: float
    longest_s: float
    measured: bool


def flops_per_token(cell: PlannedCell) -> float | None:
    tokens = cell.total_tokens or cell.num_tokens
    return cell.train_flops / tokens if cell.train_flops else None


def cell_seconds(cell: PlannedCell, rates: Mapping[str, float], flops_per_s: float | None) -> float | None:
    """Seconds one run takes: by its model's measured tokens/s, or else by the arithmetic rate of other measurements."""
    tokens = cell.total_tokens or cell.num_tokens
    if cell.model in rates:
        return _OVERHEAD_S + tokens / rates[cell.model]
    if flops_per_s and cell.train_flops:
        return _OVERHEAD_S + cell.train_flops / flops_per_s
    return None


def cost(cells: Iterable[PlannedCell], rates: Mapping[str, float], flops_per_s: float | None) -> Cost | None:
    """What these cells take together; None where nothing was measured for one of them."""
    total, longest, measured = 0.0, 0.0, True
    for cell in cells:
        seconds = cell_seconds(cell, rates, flops_per_s)
        if seconds is None:
            return None
        total, longest = total + seconds, max(longest, seconds)
        measured &= cell.model in rates
    return Cost(total, longest, measured)


def eta_s(remaining: Cost, num_slots: int) -> float:
    """Seconds until the last run ends, if runs fill the slots one after the other."""
    return max(remaining.longest_s, remaining.slot_s / max(1, num_slots))


def rates_of_runs(plan: Plan, runs: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Tokens/s by model over whole runs, everything included, from the state's summaries of finished runs."""
    tokens: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for cell in plan.cells:
        summary = runs.get(cell.run_id, {}).get("results", {}).get(plan.evaluation_id)
        # A first attempt that trained: others took over from a checkpoint, and their time is not that of the whole run.
        if summary and summary["attempt"] == 1 and summary["tokens_per_s"]:
            tokens[cell.model] = tokens.get(cell.model, 0.0) + summary["trained_tokens"]
            seconds[cell.model] = seconds.get(cell.model, 0.0) + summary["elapsed_s"]
    return {model: tokens[model] / seconds[model] for model in tokens if seconds[model] > 0}


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
    return sum(200_000 + kept * (cell.num_params_total or cell.num_params) for cell in plan.cells)
