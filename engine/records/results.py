"""What a finished run leaves (`result-<evaluation_id>.json`), and what a sweep plans (`plan.json`)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from engine.errors import StateError
from engine.records.metrics import Exposures, Record, SetScore, overall_retention
from engine.records.workspace import SweepFolder, Workspace, read_json
from engine.spec.sweep import AnalysisSettings

SCHEMA_VERSION = 1
_T = TypeVar("_T", bound=BaseModel)


class QuestionOutcomes(Record):
    """The final answers of one fact set. `blocks[i]` are fact indices, `chosen[i]` the option taken for each, as a
    position in the block; the right one is the question's own position."""

    blocks: tuple[tuple[int, ...], ...]
    chosen: tuple[tuple[int, ...], ...]


class Execution(Record):
    """How the run was carried out: nothing of this is part of its identity."""

    device: str
    num_threads: int
    torch_version: str
    host: str
    started_s: float
    elapsed_s: float
    """Wall-clock seconds of the last attempt."""
    tokens_per_s: float
    """Over the last attempt's training steps, scoring and checkpoints left out."""
    warm_start: bool


class RunResult(Record):
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


class PlannedCell(Record):
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


class Dose(Record):
    """What packing allows for one combination of D and templates."""

    num_tokens: int
    num_templates: int
    ceiling_frequency: int | None
    """None where exposures come on top of the background: then nothing limits them."""


class Plan(Record):
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
    analysis: AnalysisSettings
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
    data = read_json(path)
    return None if data is None else validated(Plan, data, path)


def read_result(path: Path) -> RunResult | None:
    data = read_json(path)
    return None if data is None else validated(RunResult, data, path)


def validated(model: type[_T], data: object, path: Path) -> _T:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise StateError(f"written by another version of kitui? {first['msg']}.", where=str(path), key=key) from None


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
