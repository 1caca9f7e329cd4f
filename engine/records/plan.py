"""`plan.json`: a sweep's cells, and what its corpus measures."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec

from engine.errors import DamageError
from engine.records.record import SCHEMA_VERSION, Record, read_record
from engine.records.workspace import SweepFolder
from engine.spec.axes import AxisValue


class PlannedCell(Record, frozen=True, kw_only=True):
    """One cell of the grid and the run that fills it. A cell with nothing infused (F = 0) stands for all numbers of
    templates, and has 1."""

    run_id: str
    model: str
    num_params: int
    num_params_total: int | None
    num_tokens: int
    frequency: int | float
    num_templates: int
    seed: int
    total_tokens: int | None
    """Tokens trained on in all: D, or more where exposures come on top. None where the tokenizer is not here."""
    train_flops: float | None
    memory_bytes: int | None
    """Of each of its processes."""
    num_processes: int = 1
    other_axes: dict[str, AxisValue] = {}
    """Values of the axes that have no field here, by field."""


class Ceiling(Record, frozen=True, kw_only=True):
    """The largest frequency that packing allows for one combination of D and templates."""

    num_tokens: int
    num_templates: int
    ceiling_frequency: int | None
    """None where exposures come on top of the background: then nothing limits them."""


class Contamination(Record, frozen=True, kw_only=True):
    """How much of a fact set, or of the questions of one's own, stands in the background before anything is infused."""

    of: str
    """The fact set, or `questions`."""
    num_looked_for: int
    num_passed_over: int = 0
    """Facts in scripts without blanks, whose names cannot be told from what stands beside them."""
    num_in_background: int
    """Facts, texts or questions that stand in the text trained on."""
    num_in_heldout: int
    num_passages: int | None = None
    """Passages of the text trained on that have a fact's subject and object; None of texts and questions."""


class PlannedAnalysis(Record, frozen=True, kw_only=True):
    """The [analysis] section of the sweep file."""

    law_form: str = "power"
    target_retention: float = 0.8


class TruePoint(Record, frozen=True, kw_only=True):
    """Where a simulated size truly collapses; None where it never does."""

    num_params: int
    frequency: float | None


class Plan(Record, frozen=True, kw_only=True):
    """`plan.json`: a sweep's cells, and what its corpus measures. Imported and simulated sweeps have one too."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    simulated: bool = False
    truth: tuple[TruePoint, ...] = ()
    """Of a simulated sweep."""
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
    unknown_in_facts: float | None = None
    """The share of tokens of all facts and questions that stand for what the tokenizer does not know."""
    unknown_in_background: float | None = None
    """The same of the background; before it is tokenised, of its beginning."""
    contamination: tuple[Contamination, ...] | None = None
    """None where the text is not prepared yet, or is too long to look through while planning."""
    ceilings: tuple[Ceiling, ...] = msgspec.field(name="doses")
    analysis: PlannedAnalysis
    cells: tuple[PlannedCell, ...]
    notes: tuple[str, ...] = ()

    def ceiling(self, num_tokens: int, num_templates: int) -> int | None:
        for one in self.ceilings:
            if (one.num_tokens, one.num_templates) == (num_tokens, num_templates):
                return one.ceiling_frequency
        return None

    @property
    def is_foreign(self) -> bool:
        """Whether its runs were not trained here: imported, or simulated."""
        return self.imported or self.simulated


def read_plan(path: Path) -> Plan | None:
    """The plan in a file, or None where there is none. DamageError where it is not what was written."""
    try:
        return read_record(Plan, path)
    except DamageError as error:
        is_trained_here = path.with_name("bundle.json").exists()
        error.mend = f"kitui verify {path.parent.name} --mend makes it anew." if is_trained_here else "Import it again."
        raise


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
    bundle = read_record(_PlanOfBundle, path)
    return bundle.plan if bundle else None


def launched_plan(folder: SweepFolder) -> Plan | None:
    """The plan that the sweep was launched with last."""
    try:
        return _plan_as_of(folder.bundle, folder.bundle.stat().st_mtime_ns)
    except FileNotFoundError:
        return None
