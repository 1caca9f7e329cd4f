"""`kitui plan`: what a sweep will take, before anything is trained."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.control.launchers.local import visible_gpus
from engine.control.store import State
from engine.records import forecast
from engine.records.bundle import SweepBundle
from engine.records.forecast import Probe
from engine.records.record import plain, read_record, validated
from engine.records.results import SCHEMA_VERSION, Plan, PlannedCell
from engine.records.workspace import Workspace
from engine.spec.hardware import ASSUMED_FLOPS_UTILISATION, ASSUMED_GPU, GPU_MEMORY_BYTES, PEAK_FLOPS_PER_S
from engine.spec.models import preset
from engine.spec.sweep import MIN_DOSES, MIN_OBSERVED_SIZES
from kitui.services.format import counted, size_of_bytes
from kitui.services.sweeps import plan_sweep, probe


def plan_document(path: Path, workspace: Workspace) -> dict[str, Any]:
    """The document of `kitui plan --json`."""
    bundle = plan_sweep(path, workspace)
    return document_of(bundle, workspace, measure(bundle, workspace))


def measure(bundle: SweepBundle, workspace: Workspace) -> Probe:
    """This machine's training speed at the sweep's shapes: as it was measured before, or measured now."""
    stored = read_record(Probe, workspace.probe)
    rates = forecast.known_rates(stored, platform.node(), bundle.runs, bundle.plan.vocab_size or 50_257)
    if stored is None or rates is None or stored.process_bytes is None:
        return validated(Probe, probe(workspace, bundle))
    return msgspec.structs.replace(stored, rates=rates)


def document_of(bundle: SweepBundle, workspace: Workspace, measured: Probe | None) -> dict[str, Any]:
    """The document of a planned sweep; without a measurement it says nothing of time."""
    plan = bundle.plan
    state = State(workspace)
    state.refresh()
    new = [c for c in plan.cells if not workspace.run(c.run_id).result(plan.evaluation_id).exists()]
    gpus = visible_gpus()
    slots = bundle.slots or len(gpus) or len(os.sched_getaffinity(0))
    rates = {model: rate.tokens_per_s for model, rate in measured.rates.items()} if measured else {}
    flops_rate = forecast.flops_rate(plan, rates)
    here = forecast.cost(new, rates, flops_rate)
    eta_s = forecast.eta_s(here, slots) if here and new else 0.0 if not new else None
    train_flops = sum(c.train_flops or 0.0 for c in new)
    if gpus and here and measured:
        gpu_hours, basis = here.slot_s / 3600, f"measured on {measured.device}"
    else:
        rate = PEAK_FLOPS_PER_S[ASSUMED_GPU] * ASSUMED_FLOPS_UTILISATION
        gpu_hours = train_flops / rate / 3600
        basis = f"assumed: {ASSUMED_GPU} at {ASSUMED_FLOPS_UTILISATION:.0%} of its bf16 peak"
    return {
        "schema_version": SCHEMA_VERSION,
        "sweep": plan.sweep,
        "estimated": plan.estimated,
        "cells": {"total": len(plan.cells), "new": len(new), "trained": len(plan.cells) - len(new)},
        "facts": {"infused": plan.num_infused_facts, "prior": plan.num_prior_facts},
        "tokens_per_fact": plan.tokens_per_fact,
        "vocab_size": plan.vocab_size,
        "prior_exposures": plan.prior_exposures,
        "background_tokens": plan.background_tokens,
        "ceilings": [plain(d) for d in plan.doses],
        "models": _models(plan.cells),
        "grid": _grid(plan, state.runs),
        "launched": _launched(plan, state.sweeps.get(plan.sweep)),
        "train_tokens": sum(c.total_tokens or c.num_tokens for c in new),
        "train_flops": train_flops,
        "gpu_hours": gpu_hours,
        "gpu_hours_basis": basis,
        "eta_s": eta_s,
        "eta_basis": _eta_basis(measured, here, slots) if measured else "not measured yet",
        "slots": slots,
        "disk_bytes": forecast.disk_bytes(plan, bundle.runs[0].keep_weights) + _tokens_bytes(bundle, workspace),
        "memory_bytes_per_run": max(c.memory_bytes or 0 for c in plan.cells),
        "processes_per_run": max(c.num_processes for c in plan.cells),
        "process_bytes": measured.process_bytes if measured else None,
        "on_gpu": bool(gpus),
        "notes": [*plan.notes, *_advice(plan), *_memory_advice(bundle)],
    }


def _advice(plan: Plan) -> list[str]:
    """What a sweep of this shape cannot tell, said before it is trained."""
    doses = {c.frequency for c in plan.cells if c.frequency > 0}
    sizes, seeds = {c.num_params for c in plan.cells}, {c.seed for c in plan.cells}
    words = []
    if len(doses) < MIN_DOSES:
        words.append(f"a collapse is looked for from {MIN_DOSES} positive frequencies on; there are {len(doses)}")
    if len(sizes) < MIN_OBSERVED_SIZES:
        words.append(f"a law needs collapse points at {MIN_OBSERVED_SIZES} model sizes or more; there are {len(sizes)}")
    if len(seeds) < 2:
        words.append("with one seed there is no scatter to judge by: give two or more")
    return words


def _memory_advice(bundle: SweepBundle) -> list[str]:
    """For a size that does not fit every GPU: what it takes by one process, and divided among several."""
    run = max(bundle.runs, key=lambda run: run.model.num_params)
    vocab_size = bundle.plan.vocab_size or 50_257
    alone = run.memory_bytes(vocab_size, 1, "ddp")
    if alone < GPU_MEMORY_BYTES[0]:
        return []
    fits = next((size for size in GPU_MEMORY_BYTES if alone < size), None)
    most = run.training.batch_size
    divided = {n: run.memory_bytes(vocab_size, n, "fsdp") for n in (2, 4, 8, 16, 32) if n <= most}
    words = f"{run.model.name} by one process, or by several with all of the model each (ddp), takes "
    words += f"{size_of_bytes(alone)} a GPU: " + (f"one of {fits / 1e9:.0f} GB" if fits else "more than any GPU has")
    ways = ", ".join(f"{n} of {size_of_bytes(each)}" for n, each in divided.items())
    return [f"{words}. Divided (data_parallel = fsdp) by num_processes: {ways}"]


def _grid(plan: Plan, runs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The cells, their seeds together: how many are trained, and the mean of what they retain."""
    cells: dict[tuple[Any, ...], list[PlannedCell]] = {}
    for cell in plan.cells:
        cells.setdefault((cell.model, cell.num_tokens, cell.num_templates, cell.frequency), []).append(cell)
    rows = []
    for key, members in cells.items():
        results = [runs.get(m.run_id, {}).get("results", {}).get(plan.evaluation_id) for m in members]
        scores = [r["overall"] for r in results if r is not None and r["overall"] is not None]
        ceiling = plan.ceiling(key[1], key[2])
        rows.append(
            dict(zip(("model", "num_tokens", "templates", "frequency"), key, strict=True))
            | {
                "seeds": len(members),
                "trained": sum(r is not None for r in results),
                "overall": sum(scores) / len(scores) if scores else None,
                "above_ceiling": ceiling is not None and key[3] > ceiling,
            }
        )
    return rows


def _launched(plan: Plan, sweep: Mapping[str, Any] | None) -> dict[str, int] | None:
    """Where a sweep of this name was launched before: what launching this adds to it, and what it leaves out."""
    if sweep is None:
        return None
    now, before = {c.run_id for c in plan.cells}, set(sweep["run_ids"])
    return {"added": len(now - before), "orphaned": len(before - now)}


def memory_words(document: dict[str, Any]) -> str:
    """What one run takes where it trains: on a CPU, PyTorch's own memory counts too, and is most of it."""
    model, process = document["memory_bytes_per_run"], document["process_bytes"]
    number_of = document["processes_per_run"]
    several = f" in each of {number_of} processes" if number_of > 1 else ""
    if document["on_gpu"]:
        return f"{size_of_bytes(model)} of the GPU{several}"
    return (size_of_bytes(model + process) if process else f"{size_of_bytes(model)} + PyTorch") + several


def launched_words(launched: dict[str, int]) -> str:
    words = f"a sweep of this name is there: {counted(launched['added'], 'run')} added"
    if launched["orphaned"]:
        words += f", {counted(launched['orphaned'], 'run')} no longer part of it (kept)"
    return words


def _models(cells: tuple[PlannedCell, ...]) -> list[dict[str, Any]]:
    names = dict.fromkeys(c.model for c in cells)
    rows = []
    for name in names:
        of_model = [c for c in cells if c.model == name]
        shape = preset(name)
        rows.append(
            {
                "name": name,
                "num_params": shape.num_params,
                "num_params_total": of_model[0].num_params_total,
                "cells": len(of_model),
                "memory_bytes": of_model[0].memory_bytes,
            }
        )
    return rows


def _eta_basis(measured: Probe, here: forecast.Cost | None, slots: int) -> str:
    if here is None:
        return "these sizes are too large to try on this machine"
    how = "measured" if here.measured else "larger sizes by their FLOP"
    return f"{how} on {measured.device}, {counted(slots, 'slot')}"


def _tokens_bytes(bundle: SweepBundle, workspace: Workspace) -> int:
    """The token files, where they are still to be made and their size is known."""
    if workspace.tokens(bundle.plan.tokens_id).exists():
        return 0
    limit = bundle.corpus.background.max_tokens
    width = 2 if (bundle.plan.vocab_size or math.inf) <= 2**16 else 4
    return width * limit if limit else 0
