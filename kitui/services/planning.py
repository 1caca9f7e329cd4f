"""`kitui plan`: what a sweep will take, before anything is trained."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.control.launchers.local import visible_gpus
from engine.control.ledger.state_file import read_state
from engine.errors import SpecError
from engine.records import forecast
from engine.records.forecast import Probe
from engine.records.plan import Ceiling, Contamination, Plan, PlannedCell
from engine.records.record import SCHEMA_VERSION, Record, read_record
from engine.records.states import Runs, SweepState
from engine.records.workspace import Workspace
from engine.spec.axes import AxisValue
from engine.spec.hardware import (
    ASSUMED_FLOPS_UTILISATION,
    ASSUMED_GPU,
    CPU_MEMORY_SLACK,
    GPU_MEMORY_BYTES,
    PEAK_FLOPS_PER_S,
)
from engine.spec.sweep import MIN_DOSES, MIN_OBSERVED_SIZES
from kitui.services.engine_commands import PlannedSweep, plan_sweep, probe
from kitui.services.format import counted, number, size_of_bytes


class CellCounts(Record, frozen=True, kw_only=True):
    total: int
    new: int
    trained: int


class FactCounts(Record, frozen=True, kw_only=True):
    infused: int | None
    prior: int | None


class PlannedModel(Record, frozen=True, kw_only=True):
    name: str
    num_params: int
    num_params_total: int | None
    cells: int
    memory_bytes: int | None


class GridCell(Record, frozen=True, kw_only=True):
    """A cell with its seeds together."""

    model: str
    num_tokens: int
    templates: int
    frequency: int | float
    other_axes: dict[str, AxisValue] = {}
    seeds: int
    trained: int
    overall: float | None
    """Mean overall retention of those that are trained."""
    above_ceiling: bool


class Relaunch(Record, frozen=True, kw_only=True):
    """What launching adds to a sweep of this name, and what it leaves out."""

    added: int
    orphaned: int


class PlanDocument(Record, frozen=True, kw_only=True):
    """`kitui plan --json`: what a sweep will take."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    estimated: bool
    cells: CellCounts
    facts: FactCounts
    tokens_per_fact: float | None
    vocab_size: int | None
    prior_exposures: float | None
    background_tokens: int | None
    unknown_in_facts: float | None
    unknown_in_background: float | None
    contamination: tuple[Contamination, ...] | None
    ceilings: tuple[Ceiling, ...]
    models: tuple[PlannedModel, ...]
    grid: tuple[GridCell, ...]
    launched: Relaunch | None
    train_tokens: int
    train_flops: float
    gpu_hours: float
    gpu_hours_basis: str
    eta_s: float | None
    eta_basis: str
    slots: int
    disk_bytes: int
    memory_bytes_per_run: int
    processes_per_run: int
    process_bytes: int | None
    on_gpu: bool
    notes: tuple[str, ...]


def plan_document(path: Path, workspace: Workspace, *, many: bool = False) -> PlanDocument:
    """What the sweep in a file will take, this machine's speed measured."""
    planned = plan_sweep(path, workspace, many=many)
    return document_of(planned, workspace, measure(planned, workspace))


def measure(planned: PlannedSweep, workspace: Workspace) -> Probe:
    """This machine's training speed at the sweep's shapes: as it was measured before, or measured now."""
    stored = read_record(Probe, workspace.probe)
    bundle = planned.of_sizes
    rates = forecast.known_rates(stored, platform.node(), bundle.runs, bundle.plan.vocab_size or 50_257)
    if stored is None or rates is None or stored.process_bytes is None:
        return probe(workspace, planned)
    return msgspec.structs.replace(stored, rates=rates)


def gpu_hours(planned: PlannedSweep, workspace: Workspace) -> float:
    """GPU-hours of the runs still to train, by the arithmetic of an assumed GPU."""
    return _assumed_gpu_hours(_new_cells(planned.plan, workspace))


def check_budget(planned: PlannedSweep, workspace: Workspace, *, elsewhere: bool = False) -> None:
    """SpecError where the runs would take more than the sweep's file allows them, by what is known beforehand: the disk
    by its arithmetic, the hours by this machine's speed or, for runs that go `elsewhere`, by that of an assumed GPU."""
    raw = planned.raw
    if raw.max_disk_bytes is None and raw.max_gpu_hours is None:
        return
    needed = forecast.most_disk_bytes(planned.plan, planned.of_sizes.runs[0].keep_weights)
    if raw.max_disk_bytes is not None and needed > raw.max_disk_bytes:
        raise SpecError(
            f"the sweep takes up to about {size_of_bytes(needed)} while it trains.",
            where=planned.plan.sweep,
            key="execution.max_disk_bytes",
            value=raw.max_disk_bytes,
            mend='Allow more, keep fewer weights (execution.keep_weights = "none"), or shorten the grid.',
        )
    if raw.max_gpu_hours is None:
        return
    hours = _hours_needed(planned, workspace, elsewhere=elsewhere)
    if hours > raw.max_gpu_hours:
        raise SpecError(
            f"the sweep takes about {number(hours)} GPU-hours.",
            where=planned.plan.sweep,
            key="execution.max_gpu_hours",
            value=raw.max_gpu_hours,
            mend="Allow more, or shorten the grid.",
        )


def _hours_needed(planned: PlannedSweep, workspace: Workspace, *, elsewhere: bool) -> float:
    """What the trained runs of a sweep have taken, and what the others will have, some of it perhaps already."""
    new, runs = _new_cells(planned.plan, workspace), read_state(workspace).runs
    used_s = {c.run_id: sum(runs[c.run_id].used_s.values()) for c in planned.plan.cells if c.run_id in runs}
    begun_s = sum(used_s.pop(cell.run_id, 0.0) for cell in new)
    rates = {} if elsewhere else {m: r.tokens_per_s for m, r in measure(planned, workspace).rates.items()}
    here = forecast.cost(new, rates, forecast.flops_rate(planned.plan, rates)) if rates else None
    still = here.slot_s / 3600 if here else _assumed_gpu_hours(new)
    return sum(used_s.values()) / 3600 + max(still, begun_s / 3600)


def disk_bytes(planned: PlannedSweep, workspace: Workspace) -> int:
    """Bytes that the runs leave, with the token files where those are still to be made."""
    keep_weights = planned.of_sizes.runs[0].keep_weights
    return forecast.disk_bytes(planned.plan, keep_weights) + _tokens_bytes(planned, workspace)


def _assumed_gpu_hours(cells: Sequence[PlannedCell]) -> float:
    flops = sum(cell.train_flops or 0.0 for cell in cells)
    return flops / (PEAK_FLOPS_PER_S[ASSUMED_GPU] * ASSUMED_FLOPS_UTILISATION) / 3600


def document_of(planned: PlannedSweep, workspace: Workspace, measured: Probe | None) -> PlanDocument:
    """What a planned sweep will take; without a measurement nothing is said of time."""
    bundle, plan = planned.of_sizes, planned.plan
    state = read_state(workspace)
    new = _new_cells(plan, workspace)
    gpus = visible_gpus()
    slots = bundle.slots or len(gpus) or len(os.sched_getaffinity(0))
    rates = {model: rate.tokens_per_s for model, rate in measured.rates.items()} if measured else {}
    local = forecast.cost(new, rates, forecast.flops_rate(plan, rates))
    if gpus and local and measured:
        hours, basis = local.slot_s / 3600, f"measured on {measured.device}"
    else:
        hours = _assumed_gpu_hours(new)
        basis = f"assumed: {ASSUMED_GPU} at {ASSUMED_FLOPS_UTILISATION:.0%} of its bf16 peak"
    return PlanDocument(
        sweep=plan.sweep,
        estimated=plan.estimated,
        cells=CellCounts(total=len(plan.cells), new=len(new), trained=len(plan.cells) - len(new)),
        facts=FactCounts(infused=plan.num_infused_facts, prior=plan.num_prior_facts),
        tokens_per_fact=plan.tokens_per_fact,
        vocab_size=plan.vocab_size,
        prior_exposures=plan.prior_exposures,
        background_tokens=plan.background_tokens,
        unknown_in_facts=plan.unknown_in_facts,
        unknown_in_background=plan.unknown_in_background,
        contamination=plan.contamination,
        ceilings=plan.ceilings,
        models=_models(plan.cells),
        grid=_grid(plan, state.runs),
        launched=_relaunch(plan, state.sweeps.get(plan.sweep)),
        train_tokens=sum(c.total_tokens or c.num_tokens for c in new),
        train_flops=sum(c.train_flops or 0.0 for c in new),
        gpu_hours=hours,
        gpu_hours_basis=basis,
        eta_s=(forecast.eta_s(local, slots) if local else None) if new else 0.0,
        eta_basis=_eta_basis(measured, local, slots) if measured else "not measured yet",
        slots=slots,
        disk_bytes=disk_bytes(planned, workspace),
        memory_bytes_per_run=max(c.memory_bytes or 0 for c in plan.cells),
        processes_per_run=max(c.num_processes for c in plan.cells),
        process_bytes=measured.process_bytes if measured else None,
        on_gpu=bool(gpus),
        notes=(*plan.notes, *_advice(plan), *_memory_advice(planned), *_budget_advice(planned, workspace, measured)),
    )


def _new_cells(plan: Plan, workspace: Workspace) -> list[PlannedCell]:
    started = workspace.run_ids()
    return [
        cell
        for cell in plan.cells
        if cell.run_id not in started or not workspace.run(cell.run_id).result(plan.evaluation_id).exists()
    ]


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


def _budget_advice(planned: PlannedSweep, workspace: Workspace, measured: Probe | None) -> list[str]:
    if measured is None:
        return []
    try:
        check_budget(planned, workspace)
    except SpecError as error:
        return [f"it will not be launched: {error.key} = {error.value}: {error.what}"]
    return []


def _memory_advice(planned: PlannedSweep) -> list[str]:
    """For a size that does not fit every GPU: what it takes by one process, and divided among several."""
    run = max(planned.of_sizes.runs, key=lambda run: run.model.num_params)
    vocab_size = planned.plan.vocab_size or 50_257
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


def _grid(plan: Plan, runs: Runs) -> tuple[GridCell, ...]:
    """The cells, their seeds together: how many are trained, and the mean of what they retain."""
    cells: dict[tuple[object, ...], list[PlannedCell]] = {}
    for cell in plan.cells:
        key = (cell.model, cell.num_tokens, cell.num_templates, cell.frequency, *cell.other_axes.items())
        cells.setdefault(key, []).append(cell)
    rows = []
    for members in cells.values():
        first = members[0]
        known = [runs[m.run_id].results.get(plan.evaluation_id) for m in members if m.run_id in runs]
        scores = [summary.overall for summary in known if summary is not None and summary.overall is not None]
        ceiling = plan.ceiling(first.num_tokens, first.num_templates)
        rows.append(
            GridCell(
                model=first.model,
                num_tokens=first.num_tokens,
                templates=first.num_templates,
                frequency=first.frequency,
                other_axes=first.other_axes,
                seeds=len(members),
                trained=sum(summary is not None for summary in known),
                overall=sum(scores) / len(scores) if scores else None,
                above_ceiling=ceiling is not None and first.frequency > ceiling,
            )
        )
    return tuple(rows)


def _relaunch(plan: Plan, sweep: SweepState | None) -> Relaunch | None:
    if sweep is None:
        return None
    now, before = {c.run_id for c in plan.cells}, set(sweep.run_ids)
    return Relaunch(added=len(now - before), orphaned=len(before - now))


def memory_words(document: PlanDocument) -> str:
    """What one run takes where it trains: on a CPU, PyTorch's own memory counts too, and what is freed in pieces."""
    model, process = document.memory_bytes_per_run, document.process_bytes
    number_of = document.processes_per_run
    several = f" in each of {number_of} processes" if number_of > 1 else ""
    if document.on_gpu:
        return f"{size_of_bytes(model)} of the GPU{several}"
    model = round(CPU_MEMORY_SLACK * model)
    return (size_of_bytes(model + process) if process else f"{size_of_bytes(model)} + PyTorch") + several


def unknown_words(document: PlanDocument) -> str:
    """The shares of tokens that the tokenizer does not know."""
    shares = {"facts": document.unknown_in_facts, "background": document.unknown_in_background}
    return ", ".join(f"{name} {'–' if share is None else f'{share:.2%}'}" for name, share in shares.items())


def relaunch_words(relaunch: Relaunch) -> str:
    words = f"a sweep of this name is there: {counted(relaunch.added, 'run')} added"
    if relaunch.orphaned:
        words += f", {counted(relaunch.orphaned, 'run')} no longer part of it (kept)"
    return words


def _models(cells: Sequence[PlannedCell]) -> tuple[PlannedModel, ...]:
    rows = []
    for name in dict.fromkeys(c.model for c in cells):
        of_model = [c for c in cells if c.model == name]
        rows.append(
            PlannedModel(
                name=name,
                num_params=of_model[0].num_params,
                num_params_total=of_model[0].num_params_total,
                cells=len(of_model),
                memory_bytes=of_model[0].memory_bytes,
            )
        )
    return tuple(rows)


def _eta_basis(measured: Probe, local: forecast.Cost | None, slots: int) -> str:
    if local is None:
        return "these sizes are too large to try on this machine"
    how = "measured" if local.measured else "larger sizes by their FLOP"
    return f"{how} on {measured.device}, {counted(slots, 'slot')}"


def _tokens_bytes(planned: PlannedSweep, workspace: Workspace) -> int:
    """The token files, where they are still to be made and their size is known."""
    if workspace.tokens(planned.plan.tokens_id).exists():
        return 0
    limit = planned.of_sizes.corpus.background.max_tokens
    width = 2 if (planned.plan.vocab_size or math.inf) <= 2**16 else 4
    return width * limit if limit else 0
