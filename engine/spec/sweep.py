"""The sweep file: `sweep.toml` read into validated, frozen models; every fault named with its key and its mend."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from engine.errors import DataError, SpecError, nearest
from engine.spec.axes import parse_axis, parse_count, parse_number
from engine.spec.models import PRESETS, ModelShape, preset
from engine.spec.tables import read_text

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]*")
# What a grid needs for an answer: positive frequencies for a collapse point, sizes with one for a law.
MIN_DOSES, MIN_OBSERVED_SIZES = 4, 3


def check_name(name: str, key: str = "name", where: str = "") -> str:
    """A name that is safe as a folder's name. SpecError otherwise."""
    if not NAME_PATTERN.fullmatch(name) or len(name) > 100:
        raise SpecError(
            "not a usable name.",
            where=where,
            key=key,
            value=name,
            mend="Use small letters, digits, '.', '_' and '-', beginning with a letter or digit.",
        )
    return name


def _whole_axis(value: Any) -> tuple[int, ...]:
    values = parse_axis(value)
    if not values:
        raise ValueError("the list is empty: give at least one value")
    if any(not isinstance(v, int) or v < 0 for v in values):
        raise ValueError("expected whole numbers, zero or more")
    return tuple(int(v) for v in values)


def _positive_axis(value: Any) -> tuple[int, ...]:
    values = _whole_axis(value)
    if 0 in values:
        raise ValueError("expected whole numbers above zero")
    return values


def _size_axis(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError('expected names of model sizes, such as ["nano-7k", "137M"]')
    if not names:
        raise ValueError("the list is empty: give at least one model size")
    return tuple(dict.fromkeys(preset(n).name for n in names))


def _number(value: Any) -> float:
    return float(parse_number(value))


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError("expected a share between 0 and 1")
    return value


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("expected a number above zero")
    return value


Count = Annotated[int, BeforeValidator(parse_count)]
PositiveCount = Annotated[int, BeforeValidator(parse_count), AfterValidator(_positive)]
Number = Annotated[float, BeforeValidator(_number)]
PositiveNumber = Annotated[float, BeforeValidator(_number), AfterValidator(_positive)]
Share = Annotated[float, BeforeValidator(_number), AfterValidator(_share)]
Seed = Annotated[int, BeforeValidator(parse_count)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True)


class Grid(Section):
    """The axes; a sweep has one cell for each combination of their values."""

    model_size: Annotated[tuple[str, ...], BeforeValidator(_size_axis)]
    infusion_frequency: Annotated[tuple[int, ...], BeforeValidator(_whole_axis)]
    """F: how often each infused fact is written."""
    num_tokens: Annotated[tuple[int, ...], BeforeValidator(_positive_axis)]
    """D: loss-bearing target tokens (displace), or those of the background alone (append, two stages)."""
    num_templates: Annotated[tuple[int, ...], BeforeValidator(_positive_axis)] = (1,)
    """How many statement templates infused facts take turns in."""
    seed: Annotated[tuple[int, ...], BeforeValidator(_whole_axis)] = (0,)


class FactsSettings(Section):
    path: str
    templates: str
    num_prior: Count
    num_infused: PositiveCount
    num_unseen: Count
    relations: tuple[str, ...] | None = None
    objects_per_relation: PositiveCount | None = None
    """Keep only a relation's most frequent objects."""
    facts_seed: Seed = 0
    duplicates: Literal["refuse", "merge"] = "refuse"


class BackgroundSettings(Section):
    source: Literal["builtin", "files", "hub"] = "builtin"
    path: str | tuple[str, ...] | None = None
    """For `files`: .txt, .jsonl or .parquet, one path or pattern or several."""
    text_field: str = "text"
    dataset: str | None = None
    config: str | None = None
    split: str = "train"
    revision: str | None = None
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
    kind: Literal["word", "bpe", "hf"] = "word"
    """`word`: one token a word and one a name; `bpe`: byte-level BPE trained on the background; `hf`: a ready one."""
    vocab_size: PositiveCount = 1000
    """`word`: how many background words are kept beside entities and template words; `bpe`: the whole vocabulary."""
    name: str | None = None
    """For `hf`: a folder or a hub name."""
    revision: str | None = None

    @model_validator(mode="after")
    def _kind_has_its_keys(self) -> TokenizerSettings:
        if self.kind == "hf" and not self.name:
            raise ValueError('kind = "hf" needs name: a folder or a hub name')
        if self.kind == "bpe" and self.vocab_size < 300:
            raise ValueError("a byte-level BPE needs a vocab_size of at least 300")
        return self


class MixtureSettings(Section):
    kind: Literal["displace", "append"] = "displace"
    """`displace`: exposures overwrite background within D tokens; `append`: they come on top of D background tokens."""
    fill: Literal["infused", "neutral"] = "infused"
    """What is written over those stretches: `neutral`, background text, is the control arm."""
    prior_rate: Number = 0.0
    """How often each prior fact is written per million background tokens."""
    num_prior_templates: PositiveCount = 3
    """How many statement templates prior facts take turns in."""
    questions_in_background: bool = False
    """Prior facts also take turns in the evaluation's question template, answered."""


class StagesSettings(Section):
    """Two stages: D tokens of background first, then the infused facts on top, at a constant learning rate."""

    replay_share: Annotated[float, BeforeValidator(_number)] = 0.0
    """The share of the second stage's tokens that are rows of the first stage again."""
    learning_rate: PositiveNumber

    @model_validator(mode="after")
    def _share_below_one(self) -> StagesSettings:
        if not 0 <= self.replay_share < 1:
            raise ValueError("replay_share lies between 0 and 1, below 1")
        return self


class LearningRateRule(Section):
    """learning rate = base · (width / base_width) ^ width_exponent"""

    base: PositiveNumber
    base_width: PositiveCount
    width_exponent: Number = -0.5

    def at(self, hidden_size: int) -> float:
        return float(self.base * (hidden_size / self.base_width) ** self.width_exponent)


class TrainingSettings(Section):
    context_length: PositiveCount
    batch_size: PositiveCount
    """Rows of context_length tokens a step."""
    learning_rate: LearningRateRule | dict[str, PositiveNumber] | PositiveNumber
    """One number, one for each model size, or a rule in the width."""
    warmup_share: Share = 0.1
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final_learning_rate_share: Share = 0.1
    weight_decay: Number = 0.1
    beta1: Share = 0.9
    beta2: Share = 0.95
    gradient_clip: PositiveNumber = 1.0
    initializer_range: PositiveNumber = 0.02
    precision: Literal["fp32", "bf16"] = "fp32"
    init_from: str | None = None
    """A checkpoint folder or hub name to start from; `{model_size}` stands for the cell's size."""

    def learning_rate_for(self, shape: ModelShape) -> float:
        if isinstance(self.learning_rate, LearningRateRule):
            return self.learning_rate.at(shape.hidden_size)
        if isinstance(self.learning_rate, dict):
            by_size = {preset(name).name: rate for name, rate in self.learning_rate.items()}
            return float(by_size[shape.name])
        return float(self.learning_rate)


class EvaluationSettings(Section):
    num_choices: Annotated[int, BeforeValidator(parse_count), Field(ge=2, le=26)] = 4
    question_template: Count = 0
    """Which of a relation's question templates is asked, counted from 0."""
    questions_per_fact: PositiveCount = 1
    every_tokens: PositiveCount | None = None
    """Score during training each time so many tokens have passed; always at the end."""


class AnalysisSettings(Section):
    law_form: Literal["power", "bounded"] = "power"
    """The form fitted below six points; `bounded` for a collapse pinned under the ceiling."""
    target_retention: Share = 0.8
    """What counts as acquired, for the acquisition frequency."""


class ExecutionSettings(Section):
    """How runs are carried out. None of this changes what is trained, so none of it is a run's identity."""

    slots: PositiveCount | None = None
    """Runs at once; by default one a GPU, or else one a CPU core."""
    keep_weights: Literal["none", "last", "all"] = "last"
    checkpoint_every_s: Number = 60.0
    micro_batch_size: PositiveCount | None = None
    """Rows a forward pass, where a whole step does not fit into memory."""
    max_attempts: PositiveCount = 3
    """How often a run that was lost or killed is started again by itself."""


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
        rates = self.training.learning_rate
        if isinstance(rates, dict):
            unknown = [name for name in rates if name.strip().lower() not in {p.lower() for p in PRESETS}]
            if unknown:
                key = "training.learning_rate"
                raise SpecError("no model size of this name.", key=key, value=unknown[0], mend=_HINTS[key])
            missing = [s for s in self.grid.model_size if s not in {preset(n).name for n in rates}]
            if missing:
                raise ValueError(f"training.learning_rate gives none for {', '.join(missing)}")
        start = self.training.init_from
        if start and "{model_size}" not in start and len(self.grid.model_size) > 1:
            raise ValueError("training.init_from is one checkpoint for several sizes: put {model_size} into it")
        return self


def read_sweep(path: Path) -> Sweep:
    """The sweep in a file; its name is the file's unless it gives one. SpecError lists every fault of the file."""
    try:
        text = read_text(path, "")
    except DataError as error:
        raise SpecError(error.what, where=error.where, mend="Give a sweep file; kitui init writes one.") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"not valid TOML: {error}.", where=str(path)) from None
    table.setdefault("name", path.stem)
    if isinstance(table["name"], str):
        check_name(table["name"], where=str(path))
    try:
        return Sweep.model_validate(table)
    except ValidationError as error:
        raise _spec_error(path, table, error) from None
    except SpecError as error:  # an unknown preset, raised from within a validator
        error.where = str(path)
        error.args = (error.message,)
        raise


def setting_default(key: str) -> Any:
    """What holds where a sweep file gives no such key ("mixture.fill"); None where nothing does."""
    info = _setting(key)
    return None if info is None or info.is_required() else info.default


def setting_choices(key: str) -> tuple[str, ...]:
    """The words that such a key may hold; empty where it is no matter of choice."""
    info = _setting(key)
    return get_args(info.annotation) if info is not None and get_origin(info.annotation) is Literal else ()


def _setting(key: str) -> FieldInfo | None:
    fields = Sweep.model_fields
    *sections, last = key.split(".")
    for section in sections:
        fields = fields[section].annotation.model_fields  # type: ignore[union-attr]
    return fields.get(last)


def faults_of(table: dict[str, Any]) -> list[tuple[str, Any, str, str]]:
    """All that is wrong with the content of a sweep file: key, value (None where it is missing), what, mend."""
    try:
        Sweep.model_validate(table)
    except ValidationError as error:
        return [_fault(table, item) for item in error.errors()]
    except SpecError as error:  # an unknown preset, raised from within a validator
        return [(error.key, error.value, error.what, error.mend)]
    return []


def _spec_error(path: Path, table: dict[str, Any], error: ValidationError) -> SpecError:
    """All faults that pydantic found as one error, the first in its fields."""
    faults = [_fault(table, item) for item in error.errors()]
    key, value, what, mend = faults[0]
    rest = "".join(f"\n{path}: {k}{f' = {v!r}' if v is not None else ''}: {w} {m}" for k, v, w, m in faults[1:])
    given = {"value": value} if value is not None else {}
    return SpecError(what, where=str(path), key=key, mend=mend + rest, **given)


def _fault(table: dict[str, Any], item: Any) -> tuple[str, Any, str, str]:
    # Union members appear in pydantic's location by their type's name; people know only the file's keys.
    location = [str(part) for part in item["loc"]]
    while location and not _lookup(table, location)[0] and item["type"] != "missing" and len(location) > 1:
        location = location[:-1]
    key = ".".join(location) or "sweep"
    found, value = _lookup(table, location)
    if item["type"] == "extra_forbidden":
        return key, value, "unknown key.", nearest(location[-1], _known_keys(location[:-1]))
    if item["type"] == "missing":
        return key, None, "this setting is required.", _hint(location)
    message = item["msg"].removeprefix("Value error, ")
    shown = value if found and not isinstance(value, dict) else None
    return key, shown, message[0].lower() + message[1:] + ("" if message.endswith(".") else "."), _hint(location)


def _lookup(table: Any, location: list[str]) -> tuple[bool, Any]:
    for part in location:
        if isinstance(table, dict) and part in table:
            table = table[part]
        elif isinstance(table, list) and part.isdigit() and int(part) < len(table):
            table = table[int(part)]
        else:
            return False, None
    return True, table


def _known_keys(location: list[str]) -> list[str]:
    model: Any = Sweep
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        options = getattr(annotation, "__args__", (annotation,))
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if model is None:
            return []
    return list(model.model_fields)


_HINTS = {
    "grid.model_size": f"Sizes: {', '.join(PRESETS)}.",
    "grid.infusion_frequency": 'Give a list such as [0, 1, 2, 4] or "geom(1, 512, 10)".',
    "grid.num_tokens": "Give a list such as [300e3] or [10B, 100B].",
    "grid.seed": "Give a list such as [0, 1, 2].",
    "facts.path": "Give a .jsonl, .csv, .tsv or .parquet file with subject, relation, object.",
    "facts.templates": "Give a TOML file with statements and questions for each relation.",
    "training.learning_rate": (
        "Give a number, a table by model size, or { base = 0.01, base_width = 32, width_exponent = -0.5 }."
    ),
}


def _hint(location: list[str]) -> str:
    return _HINTS.get(".".join(location), "")
