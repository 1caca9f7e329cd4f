"""What a finished run leaves (`result-<evaluation_id>.json`), and what a sweep plans (`plan.json`)."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from engine.records.metrics import Exposures, SetScore, overall_retention
from engine.records.record import Record, read_record
from engine.records.workspace import SweepFolder, Workspace

SCHEMA_VERSION = 1


class QuestionOutcomes(Record, frozen=True, kw_only=True):
    """The final answers of one fact set. `blocks[i]` are fact indices, `chosen[i]` the option taken for each, as a
    position in the block; the right one is the question's own position."""

    blocks: tuple[tuple[int, ...], ...]
    chosen: tuple[tuple[int, ...], ...]


class Execution(Record, frozen=True, kw_only=True):
    """How the run was carried out: nothing of this is part of its identity."""

    device: str
    num_threads: int
    torch_version: str
    host: str
    started_s: float
    elapsed_s: float
    """Wall-clock seconds of the last attempt."""
    tokens_per_s: float
    """Over the last attempt's training steps, scoring and checkpoints left out; of all processes together."""
    warm_start: bool
    num_processes: int = 1
    data_parallel: str | None = None
    """Of several processes: `ddp` or `fsdp`."""


class RunResult(Record, frozen=True, kw_only=True):
    """A run's end: `done`, or `diverged` where the loss or the gradient stopped being finite."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    evaluation_id: str
    status: Literal["done", "diverged"]
    attempt: int
    num_steps: int
    num_tokens: int
    """Loss-bearing target tokens trained on."""
    background_epochs: float
    """Times the background text was read through."""
    num_params: int
    num_params_total: int
    train_flops: float
    sets: dict[str, SetScore]
    background_loss: float | None
    exposures: dict[str, Exposures]
    exposures_as_planned: bool
    questions: dict[str, QuestionOutcomes]
    execution: Execution


class PlannedCell(Record, frozen=True, kw_only=True):
    """One cell of the grid and the run that fills it. A cell with nothing infused (F = 0) stands for all numbers of
    templates, and has 1."""

    run_id: str
    model: str
    num_params: int
    num_params_total: int | None
    num_tokens: int
    frequency: int
    num_templates: int
    seed: int
    total_tokens: int | None
    """Tokens trained on in all: D, or more where exposures come on top. None where the tokenizer is not here."""
    train_flops: float | None
    memory_bytes: int | None
    """Of each of its processes."""
    num_processes: int = 1


class Dose(Record, frozen=True, kw_only=True):
    """What packing allows for one combination of D and templates."""

    num_tokens: int
    num_templates: int
    ceiling_frequency: int | None
    """None where exposures come on top of the background: then nothing limits them."""


class PlannedAnalysis(Record, frozen=True, kw_only=True):
    """The [analysis] section of the sweep file."""

    law_form: Literal["power", "bounded"] = "power"
    target_retention: float = 0.8


class Plan(Record, frozen=True, kw_only=True):
    """`plan.json`: a sweep's cells, and what its corpus measures. Imported and simulated sweeps have one too."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    simulated: bool = False
    imported: bool = False
    estimated: bool
    """True where the tokenizer could not be had here: tokens, ceiling and sizes are then guesses."""
    evaluation_id: str
    facts_id: str
    tokens_id: str
    fill: str
    mixture: str
    stages: str | None
    num_infused_facts: int | None
    num_prior_facts: int | None
    num_choices: int
    vocab_size: int | None
    tokens_per_fact: float | None
    """Mean tokens of one exposure of an infused fact."""
    prior_exposures: float | None
    """Planned exposures of each prior fact at F = 0."""
    background_tokens: int | None
    """Tokens of background text that there are, before any repetition."""
    doses: tuple[Dose, ...]
    analysis: PlannedAnalysis
    cells: tuple[PlannedCell, ...]
    notes: tuple[str, ...] = ()

    def ceiling(self, num_tokens: int, num_templates: int) -> int | None:
        for dose in self.doses:
            if (dose.num_tokens, dose.num_templates) == (num_tokens, num_templates):
                return dose.ceiling_frequency
        return None


def summary_of(result: RunResult) -> dict[str, Any]:
    """What the state keeps of a result, under its evaluation id: enough for tables and forecasts."""
    return {
        "status": result.status,
        "elapsed_s": result.execution.elapsed_s,
        "tokens_per_s": result.execution.tokens_per_s,
        "attempt": result.attempt,
        "trained_tokens": result.num_tokens,
        "exposures_as_planned": result.exposures_as_planned,
        "retention": {name: score.retention for name, score in result.sets.items()},
        "overall": overall_retention(result.sets),
        "background_loss": result.background_loss,
        "background_epochs": result.background_epochs,
        "prior_exposures": result.exposures["prior"].mean if "prior" in result.exposures else None,
    }


def read_plan(path: Path) -> Plan | None:
    return read_record(Plan, path)


def latest_plan(folder: SweepFolder) -> Plan | None:
    """The sweep's plan, or while it is not prepared yet the one it was launched with. Read again only when its file
    was replaced: viewers look again and again."""
    for path in (folder.plan, folder.bundle):
        try:
            return _plan_as_of(path, path.stat().st_mtime_ns)
        except FileNotFoundError:
            continue
    return None


class _PlanOfBundle(Record, frozen=True, kw_only=True):
    plan: Plan


@lru_cache(maxsize=64)
def _plan_as_of(path: Path, mtime_ns: int) -> Plan | None:
    if path.name == "plan.json":
        return read_plan(path)
    return launched_plan(SweepFolder(path.parent))


def launched_plan(folder: SweepFolder) -> Plan | None:
    """The plan that the sweep was launched with last."""
    bundle = read_record(_PlanOfBundle, folder.bundle)
    return bundle.plan if bundle else None


def read_result(path: Path) -> RunResult | None:
    return read_record(RunResult, path)


def results_digest(plan: Plan, folder: SweepFolder, workspace: Workspace) -> str:
    """A name for everything an analysis of this sweep reads: it changes when a run ends, or the plan does."""
    paths = [folder.plan, folder.results] + [workspace.run(c.run_id).result(plan.evaluation_id) for c in plan.cells]
    digest = hashlib.sha256()
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        digest.update(f"{path.parent.name}/{path.name} {status.st_mtime_ns} {status.st_size}\n".encode())
    return digest.hexdigest()[:16]
