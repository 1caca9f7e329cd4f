"""What a sweep file says: validated, frozen models of its sections. `sweep_file` reads it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from engine.errors import SpecError
from engine.spec.axes import AXES
from engine.spec.models import ModelShape, preset
from engine.spec.numbers import LARGEST_SEED, parse_count_axis
from engine.spec.questions import EvaluationSettings
from engine.spec.section import (
    Count,
    NonNegativeNumber,
    Number,
    PositiveCount,
    PositiveNumber,
    Section,
    Seed,
    Share,
    ShareBelowOne,
    Text,
    up_to,
)

MOST_CELLS = 100_000
"""A grid of more is a slip of the pen, unless it is said to be meant."""
# What a grid needs for an answer: positive frequencies for a collapse point, sizes with one for a law.
MIN_DOSES, MIN_OBSERVED_SIZES = 4, 3


def check_num_cells(num_cells: int, *, many: bool, key: str = "grid", where: str = "") -> None:
    """SpecError for a grid of more than `MOST_CELLS`, unless `many` are meant."""
    if num_cells > MOST_CELLS and not many:
        raise SpecError(
            f"a grid of {num_cells:,} cells; at most {MOST_CELLS:,} are taken without a question.",
            where=where,
            key=key,
            mend="Shorten an axis, or give --yes-many.",
        )


def _whole_axis(value: Any) -> tuple[int, ...]:
    return parse_count_axis(value)


def _seed_axis(value: Any) -> tuple[int, ...]:
    return parse_count_axis(value, most=LARGEST_SEED)


def _positive_axis(value: Any) -> tuple[int, ...]:
    return parse_count_axis(value, smallest=1)


def _size_axis(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError('expected names of model sizes, such as ["nano-7k", "137M"]')
    if not names:
        raise ValueError("the list is empty: give at least one model size")
    return tuple(dict.fromkeys(preset(n).name for n in names))


class Grid(Section):
    """The axes; a sweep has one cell for each combination of their values."""

    model_size: Annotated[tuple[str, ...], BeforeValidator(_size_axis)]
    infusion_frequency: Annotated[tuple[int, ...], BeforeValidator(_whole_axis)]
    """F: how often each infused fact is written."""
    num_tokens: Annotated[tuple[int, ...], BeforeValidator(_positive_axis)]
    """D: loss-bearing target tokens (displace), or those of the background alone (append, two stages)."""
    num_templates: Annotated[tuple[int, ...], BeforeValidator(_positive_axis)] = (1,)
    """How many statement templates infused facts take turns in."""
    seed: Annotated[tuple[int, ...], BeforeValidator(_seed_axis)] = (0,)

    @property
    def num_cells(self) -> int:
        return math.prod(len(values) for values in (getattr(self, axis.key) for axis in AXES) if values)


class FactsSettings(Section):
    """Which facts, and how many of each set."""

    path: Text
    templates: Text
    num_prior: Count
    num_infused: PositiveCount
    num_unseen: Count
    relations: tuple[str, ...] | None = None
    objects_per_relation: PositiveCount | None = None
    """Keep only a relation's most frequent objects."""
    facts_seed: Seed = 0
    duplicates: Literal["refuse", "merge"] = "refuse"


class BackgroundSettings(Section):
    """The text that facts are written into."""

    source: Literal["builtin", "files", "hub"] = "builtin"
    path: Text | tuple[Text, ...] | None = None
    """For `files`: .txt, .jsonl or .parquet, one path or pattern or several."""
    text_field: str = "text"
    dataset: Text | None = None
    config: Text | None = None
    split: Text = "train"
    revision: Text | None = None
    max_tokens: PositiveCount | None = None
    """Stop tokenising after so many; without it everything is read once."""
    heldout_tokens: Count = 4096
    """Kept out of training, for the held-out background loss."""

    @model_validator(mode="after")
    def _source_has_its_keys(self) -> BackgroundSettings:
        if self.source == "files" and not self.path:
            raise ValueError('source = "files" needs path: a .txt, .jsonl or .parquet file, or a pattern')
        if self.source == "hub" and not self.dataset:
            raise ValueError('source = "hub" needs dataset, such as "HuggingFaceFW/fineweb-edu"')
        if self.source == "hub" and not self.max_tokens:
            raise ValueError('source = "hub" needs max_tokens: how much of it to tokenise')
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else tuple(self.path or ())


class TokenizerSettings(Section):
    """How text becomes tokens."""

    kind: Literal["word", "bpe", "hf"] = "word"
    """`word`: one token a word and one a name; `bpe`: byte-level BPE trained on the background; `hf`: a ready one."""
    vocab_size: Annotated[PositiveCount, up_to(10_000_000)] = 1000
    """`word`: how many background words are kept beside entities and template words; `bpe`: the whole vocabulary."""
    name: Text | None = None
    """For `hf`: a folder or a hub name."""
    revision: Text | None = None

    @model_validator(mode="after")
    def _kind_has_its_keys(self) -> TokenizerSettings:
        if self.kind == "hf" and not self.name:
            raise ValueError('kind = "hf" needs name: a folder or a hub name')
        if self.kind == "bpe" and self.vocab_size < 300:
            raise ValueError("a byte-level BPE needs a vocab_size of at least 300")
        return self


class MixtureSettings(Section):
    """How facts and background are put together."""

    kind: Literal["displace", "append"] = "displace"
    """`displace`: exposures overwrite background within D tokens; `append`: they come on top of D background tokens."""
    fill: Literal["infused", "neutral"] = "infused"
    """What is written over those stretches: `neutral`, background text, is the control arm."""
    prior_rate: NonNegativeNumber = 0.0
    """How often each prior fact is written per million background tokens."""
    num_prior_templates: PositiveCount = 3
    """How many statement templates prior facts take turns in."""
    questions_in_background: bool = False
    """Prior facts also take turns in the evaluation's question template, answered."""


class StagesSettings(Section):
    """Two stages: D tokens of background first, then the infused facts on top, at a constant learning rate."""

    replay_share: ShareBelowOne = 0.0
    """The share of the second stage's tokens that are rows of the first stage again."""
    learning_rate: PositiveNumber


class LearningRateRule(Section):
    """learning rate = base · (width / base_width) ^ width_exponent"""

    base: PositiveNumber
    base_width: PositiveCount
    width_exponent: Number = -0.5

    def at(self, hidden_size: int) -> float:
        return float(self.base * (hidden_size / self.base_width) ** self.width_exponent)


class TrainingSettings(Section):
    """How a model is trained: AdamW, with warm-up and a schedule."""

    context_length: Annotated[PositiveCount, up_to(10_000_000)]
    batch_size: Annotated[PositiveCount, up_to(10_000_000)]
    """Rows of context_length tokens a step."""
    learning_rate: LearningRateRule | dict[str, PositiveNumber] | PositiveNumber
    """One number, one for each model size, or a rule in the width."""
    warmup_share: Share = 0.1
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final_learning_rate_share: Share = 0.1
    weight_decay: NonNegativeNumber = 0.1
    beta1: ShareBelowOne = 0.9
    beta2: ShareBelowOne = 0.95
    gradient_clip: PositiveNumber = 1.0
    initializer_range: PositiveNumber = 0.02
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    """`fp64` is there to check by: what differs between two executions is then seen apart from rounding."""
    init_from: Text | None = None
    """A checkpoint folder or hub name to start from; `{model_size}` stands for the cell's size."""

    def learning_rate_for(self, shape: ModelShape) -> float:
        if isinstance(self.learning_rate, LearningRateRule):
            return self.learning_rate.at(shape.hidden_size)
        if isinstance(self.learning_rate, dict):
            by_size = {preset(name).name: rate for name, rate in self.learning_rate.items()}
            return float(by_size[shape.name])
        return float(self.learning_rate)


class AnalysisSettings(Section):
    """What the analysis is told beforehand."""

    law_form: Literal["power", "bounded"] = "power"
    """The form fitted below six points; `bounded` for a collapse pinned under the ceiling."""
    target_retention: Share = 0.8
    """What counts as acquired, for the acquisition frequency."""


class ExecutionSettings(Section):
    """How runs are carried out. None of this changes what is trained, so none of it is a run's identity."""

    slots: Annotated[PositiveCount, up_to(10_000)] | None = None
    """Runs at once; by default one a GPU, or else one a CPU core."""
    keep_weights: Literal["none", "last", "all"] = "last"
    checkpoint_every_s: NonNegativeNumber = 60.0
    micro_batch_size: PositiveCount | None = None
    """Rows a forward pass of one process, where a whole step does not fit into memory."""
    num_processes: dict[str, PositiveCount] | PositiveCount = 1
    """Processes that train one run together, one a GPU (or else one a CPU core): for all sizes, or by size."""
    data_parallel: Literal["ddp", "fsdp"] = "ddp"
    """How they do: `ddp`, each with all of the model; `fsdp` divides weights and optimizer state among them."""
    max_attempts: Annotated[PositiveCount, up_to(1_000)] = 3
    """How often a run may die in a row, without a checkpoint in between, before it is set aside."""
    max_gpu_hours: PositiveNumber | None = None
    """What all runs together may take, on all hosts, in hours of slots: GPUs, or cores where there are none."""
    max_disk_bytes: PositiveCount | None = None
    """What the runs may take of this machine's disk."""

    def num_processes_for(self, shape: ModelShape) -> int:
        if isinstance(self.num_processes, dict):
            return {preset(name).name: number for name, number in self.num_processes.items()}.get(shape.name, 1)
        return self.num_processes


class Sweep(Section):
    """A whole sweep file."""

    name: str
    grid: Grid
    facts: FactsSettings
    background: BackgroundSettings = BackgroundSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    mixture: MixtureSettings = MixtureSettings()
    stages: StagesSettings | None = None
    training: TrainingSettings
    evaluation: EvaluationSettings = EvaluationSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    execution: ExecutionSettings = ExecutionSettings()

    @model_validator(mode="after")
    def _parts_agree(self) -> Sweep:
        if self.stages and self.mixture.kind != "append":
            raise ValueError('[stages] infuses after D background tokens: set mixture.kind = "append"')
        for key, by_size in (
            ("training.learning_rate", self.training.learning_rate),
            ("execution.num_processes", self.execution.num_processes),
        ):
            for name in by_size if isinstance(by_size, dict) else ():
                preset(name, key)
        rates = self.training.learning_rate
        if isinstance(rates, dict):
            missing = [s for s in self.grid.model_size if s not in {preset(n).name for n in rates}]
            if missing:
                raise ValueError(f"training.learning_rate gives none for {', '.join(missing)}")
        numbers = self.execution.num_processes
        most = max(numbers.values()) if isinstance(numbers, dict) else numbers
        if most > self.training.batch_size:
            raise ValueError(
                f"execution.num_processes = {most} is more than the {self.training.batch_size} rows of a step"
            )
        start = self.training.init_from
        if start and "{model_size}" not in start and len(self.grid.model_size) > 1:
            raise ValueError("training.init_from is one checkpoint for several sizes: put {model_size} into it")
        return self
