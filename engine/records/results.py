"""What a finished run leaves: `result-<evaluation_id>.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from engine.errors import DamageError
from engine.records.measures import FURTHER, RETENTION, measured
from engine.records.metrics import Exposures, SetScore, overall_retention
from engine.records.record import SCHEMA_VERSION, Record, read_record
from engine.records.states import RunSummary


class QuestionOutcomes(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The final answers of one fact set, block by block: of each question its fact's index, and as places among the
    block's choices the one taken and the right one."""

    blocks: tuple[tuple[int, ...], ...]
    chosen: tuple[tuple[int, ...], ...]
    right: tuple[tuple[int, ...], ...] = ()
    """Empty where each question's right choice is the one at its own place in the block."""

    def right_of(self, block: int) -> tuple[int, ...]:
        return self.right[block] if self.right else tuple(range(len(self.blocks[block])))


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


def summary_of(result: RunResult) -> RunSummary:
    """What the state keeps of a result, under its evaluation id."""
    return RunSummary(
        status=result.status,
        elapsed_s=result.execution.elapsed_s,
        tokens_per_s=result.execution.tokens_per_s,
        attempt=result.attempt,
        trained_tokens=result.num_tokens,
        exposures_as_planned=result.exposures_as_planned,
        retention=measured(result.sets, RETENTION),
        measures={measure.name: measured(result.sets, measure) for measure in FURTHER},
        overall=overall_retention(result.sets),
        background_loss=result.background_loss,
        background_epochs=result.background_epochs,
        prior_exposures=result.exposures["prior"].mean if "prior" in result.exposures else None,
    )


def read_result(path: Path) -> RunResult | None:
    """The result in a file, or None where there is none. DamageError where it is not what was written, or another
    run's."""
    result = read_record(RunResult, path)
    fault = None if result is None else _fault_in(result, path)
    if fault is not None:
        raise DamageError(fault, where=str(path))
    return result


def _fault_in(result: RunResult, path: Path) -> str | None:
    """What of it cannot be: it names its run and questions, and its counts are those of the answers beside them."""
    if result.run_id != path.parent.name:
        return f"it is the result of another run, {result.run_id}."
    if path.name != f"result-{result.evaluation_id}.json":
        return f"it is the result of other questions, {result.evaluation_id}."
    for name, score in result.sets.items():
        outcomes = result.questions.get(name)
        if outcomes is None:
            return f"the answers to the {name} questions are missing."
        asked = sum(len(chosen) for chosen in outcomes.chosen)
        right = sum(
            chosen == right
            for block, chosen_of_block in enumerate(outcomes.chosen)
            for chosen, right in zip(chosen_of_block, outcomes.right_of(block), strict=False)
        )
        if (score.num_questions, score.correct) != (asked, right):
            counts = f"{score.correct} of {score.num_questions}"
            return f"{counts} {name} questions right, it says; the answers in it are {right} of {asked}."
    return None
