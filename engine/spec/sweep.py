"""What a sweep file says: validated, frozen models of its sections. `sweep_file` reads it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from engine.errors import SpecError
from engine.spec.axes import AXES
from engine.spec.evaluation import EvaluationSettings
from engine.spec.fact_settings import FactsSettings, TextsSettings
from engine.spec.models import PRESETS, ModelShape, canonical, preset, usual_intermediate_size
from engine.spec.names import is_name
from engine.spec.numbers import LARGEST_SEED, parse_count_axis
from engine.spec.section import (
    Count,
    NonNegativeNumber,
    Number,
    PositiveCount,
    PositiveNumber,
    Section,
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
    for name in names:
        if not is_name(canonical(name).lower()):
            raise ValueError(f"{name!r} is no name: letters, digits, '.', '_' and '-'")
    return tuple(dict.fromkeys(canonical(name) for name in names))


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


class OwnModel(Section):
    """A Llama of one's own shape, or a checkpoint."""

    hidden_size: Annotated[PositiveCount, up_to(1_000_000)] | None = None
    num_layers: Annotated[PositiveCount, up_to(10_000)] | None = None
    num_heads: Annotated[PositiveCount, up_to(10_000)] | None = None
    num_kv_heads: Annotated[PositiveCount, up_to(10_000)] | None = None
    """By default as many as heads."""
    intermediate_size: Annotated[PositiveCount, up_to(10_000_000)] | None = None
    """Of the feed-forward part; by default 8/3 of the width, to a multiple of 8."""
    tied_embeddings: bool = True
    init_from: Text | None = None
    """A checkpoint folder or hub name instead, whose shape it is."""

    @model_validator(mode="after")
    def _is_a_shape_or_a_checkpoint(self) -> OwnModel:
        given = [name for name in self.model_fields_set if name != "init_from"]
        if self.init_from:
            if given:
                raise ValueError(f"init_from says the shape; leave out {', '.join(sorted(given))}")
            return self
        if not (self.hidden_size and self.num_layers and self.num_heads):
            raise ValueError("give hidden_size, num_layers and num_heads, or init_from")
        if self.hidden_size % self.num_heads or self.hidden_size // self.num_heads % 2:
            raise ValueError("hidden_size is to be an even multiple of num_heads (rotary positions come in pairs)")
        if self.num_kv_heads and self.num_heads % self.num_kv_heads:
            raise ValueError("num_heads is to be a multiple of num_kv_heads")
        return self

    def shape(self, name: str) -> ModelShape:
        """Of a Llama of one's own."""
        assert self.hidden_size is not None
        assert self.num_layers is not None
        assert self.num_heads is not None
        return ModelShape(
            name=name,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            num_kv_heads=self.num_kv_heads or self.num_heads,
            intermediate_size=self.intermediate_size or usual_intermediate_size(self.hidden_size),
            tied_embeddings=self.tied_embeddings,
        )


class BackgroundSettings(Section):
    """The text that facts are written into."""

    source: Literal["builtin", "files", "hub"] = "builtin"
    path: Text | tuple[Text, ...] | None = None
    """For `files`: one or several paths, patterns or folders."""
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
            raise ValueError('source = "files" needs path: a file, a pattern or a folder')
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
            by_size = {canonical(name): rate for name, rate in self.learning_rate.items()}
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
            return {canonical(name): number for name, number in self.num_processes.items()}.get(shape.name, 1)
        return self.num_processes


class Sweep(Section):
    """A whole sweep file."""

    name: str
    grid: Grid
    models: dict[str, OwnModel] = {}
    """Sizes of one's own, by name."""
    facts: FactsSettings | None = None
    texts: TextsSettings | None = None
    """Instead of facts."""
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
        if (self.facts is None) == (self.texts is None):
            raise ValueError("give [facts], or [texts] instead of them")
        asks_own = self.evaluation.questions is not None
        if self.evaluation.kind == "own_choices" and not asks_own:
            raise ValueError('evaluation.kind = "own_choices" needs evaluation.questions, a table of them')
        if self.texts is not None:
            if self.evaluation.kind not in ("own_choices", "cloze") or not asks_own:
                raise ValueError(
                    '[texts] are asked about by evaluation.questions, with kind = "own_choices" or "cloze"'
                )
            if max(self.grid.num_templates) > 1 or self.mixture.questions_in_background:
                raise ValueError("[texts] have no templates: leave out num_templates and questions_in_background")
        if self.stages and self.mixture.kind != "append":
            raise ValueError('[stages] infuses after D background tokens: set mixture.kind = "append"')
        for key, by_size in (
            ("training.learning_rate", self.training.learning_rate),
            ("execution.num_processes", self.execution.num_processes),
        ):
            for name in by_size if isinstance(by_size, dict) else ():
                self.check_size(name, key)
        rates = self.training.learning_rate
        if isinstance(rates, dict):
            missing = [s for s in self.grid.model_size if s not in {canonical(n) for n in rates}]
            if missing:
                raise ValueError(f"training.learning_rate gives none for {', '.join(missing)}")
        numbers = self.execution.num_processes
        most = max(numbers.values()) if isinstance(numbers, dict) else numbers
        if most > self.training.batch_size:
            raise ValueError(
                f"execution.num_processes = {most} is more than the {self.training.batch_size} rows of a step"
            )
        for name in self.models:
            if not is_name(name.lower()) or canonical(name) in PRESETS:
                raise ValueError(f"models.{name}: give it a name of letters and digits that no preset has")
        for name in self.grid.model_size:
            self.check_size(name, "grid.model_size")
        start = self.training.init_from
        if start and "{model_size}" not in start and len(self.grid.model_size) > 1:
            raise ValueError("training.init_from is one checkpoint for several sizes: put {model_size} into it")
        return self

    def check_size(self, name: str, key: str) -> None:
        """SpecError for a size that is neither a preset, nor one of `models`, nor what a checkpoint may be called."""
        if canonical(name) in self.models or (self.training.init_from and canonical(name) in self.grid.model_size):
            return
        preset(name, key)
