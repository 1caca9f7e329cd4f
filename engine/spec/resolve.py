"""From a sweep file to its cells: everything it names read and hashed, each cell's run described and named."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import SpecError
from engine.spec.axes import OTHER_AXES
from engine.spec.checkpoints import CONFIG, check_same_shape, read_checkpoint, read_hub_checkpoint, weight_files
from engine.spec.corpus_files import corpus_spec, hash_of, local_folder
from engine.spec.drawn_facts import read_fact_sets
from engine.spec.models import PRESETS, ModelShape
from engine.spec.runspec import CorpusSpec, FactSets, RunNames, RunSpec, content_id, evaluation_identity
from engine.spec.sweep import Sweep, check_num_cells
from engine.spec.sweep_file import read_sweep


class ResolvedSweep(NamedTuple):
    """A sweep file with everything it points to read, checked and hashed. Nothing is written yet."""

    sweep: Sweep
    path: Path
    facts: FactSets
    corpus: CorpusSpec
    runs: tuple[RunSpec, ...]
    """Each run once, in the order to start them: a whole grid of the first seed before the second."""
    notes: tuple[str, ...]
    """What was left out on the way, in words."""


def resolve(path: Path, *, many: bool = False) -> ResolvedSweep:
    """Read a sweep and all it refers to. SpecError or DataError name file, key and value; nothing is written.
    `many`: the grid may have more than `MOST_CELLS`."""
    path = path.resolve()
    sweep = read_sweep(path)
    check_num_cells(sweep.grid.num_cells, many=many, where=str(path))
    facts, notes = read_fact_sets(path, sweep)
    corpus = corpus_spec(path, sweep, facts)
    if sweep.background.source == "hub" and not sweep.background.revision:
        notes.append("background.revision is not pinned: the dataset may change between runs")
    runs = tuple(_runs(path, sweep, facts, corpus))
    return ResolvedSweep(sweep, path, facts, corpus, runs, tuple(notes))


def _runs(path: Path, sweep: Sweep, facts: FactSets, corpus: CorpusSpec) -> list[RunSpec]:
    grid, names = sweep.grid, RunNames(facts)
    if min(grid.num_tokens) < sweep.training.context_length:
        raise SpecError(
            f"less than one row of context_length = {sweep.training.context_length} tokens.",
            where=str(path),
            key="grid.num_tokens",
            value=min(grid.num_tokens),
        )
    of_all = {
        "training": sweep.training,
        "evaluation": sweep.evaluation,
        "evaluation_id": content_id(evaluation_identity(sweep.evaluation, facts)),
        "facts_id": facts.facts_id,
        "tokens_id": corpus.tokens_id,
        "keep_weights": sweep.execution.keep_weights,
        "checkpoint_every_s": sweep.execution.checkpoint_every_s,
        "micro_batch_size": sweep.execution.micro_batch_size,
        "data_parallel": sweep.execution.data_parallel,
    }
    of_size = {size: _settings_of_size(path, sweep, size) for size in grid.model_size}
    _check_sizes_differ(path, of_size)
    # With nothing infused, neither templates nor fill nor stages can matter: such cells are one run.
    without_infusion = {
        "mixture": sweep.mixture.model_copy(update={"fill": "infused"}),
        "stages": None,
        "num_templates": 1,
    }
    others = [axis for axis in OTHER_AXES if getattr(grid, axis.key)]
    runs: dict[str, RunSpec] = {}
    given = set(RunSpec.model_fields)
    for seed, num_tokens, size, num_templates, frequency, *values in itertools.product(
        grid.seed, grid.num_tokens, grid.model_size, grid.num_templates, grid.infusion_frequency,
        *(getattr(grid, axis.key) for axis in others),
    ):  # fmt: skip
        settings = {
            **of_all, **of_size[size],
            "seed": seed, "num_tokens": num_tokens, "frequency": frequency,
            "mixture": sweep.mixture, "stages": sweep.stages, "num_templates": num_templates,
            **({} if frequency else without_infusion),
            **{axis.spec_field: value for axis, value in zip(others, values, strict=True)},
        }  # fmt: skip
        # A grid may have a hundred thousand cells: parts that are validated are put together once, and named then.
        spec = RunSpec.model_construct(given, run_id="", **settings)
        spec.__dict__["run_id"] = names.of(spec)
        runs.setdefault(spec.run_id, spec)
    return list(runs.values())


def _check_sizes_differ(path: Path, of_size: Mapping[str, Mapping[str, Any]]) -> None:
    """SpecError for two models of one N: a curve is that of an N."""
    name_of: dict[int, str] = {}
    for name, settings in of_size.items():
        other = name_of.setdefault(settings["model"].num_params, name)
        if other != name:
            raise SpecError(
                f"{other} and {name} have the same N, {settings['model'].num_params:,}: their curves would be one.",
                where=str(path),
                key="grid.model_size",
                value=name,
                mend="Make a sweep of each, and compare them with kitui compare.",
            )


def _settings_of_size(path: Path, sweep: Sweep, size: str) -> dict[str, Any]:
    own = sweep.models.get(size)
    shape = own.shape(size) if own is not None and own.init_from is None else PRESETS.get(size)
    init_from, init_hash, checkpoint = _init(path, sweep, size)
    if checkpoint is not None:
        if shape is not None:
            check_same_shape(checkpoint, shape, str(path))
        shape = checkpoint
    if shape is None:
        raise SpecError(
            "this checkpoint cannot be reached from here, and its size is none that is known.",
            where=str(path),
            key="training.init_from",
            value=init_from,
            mend="Fetch it first, and give the folder; or describe its size in [models].",
        )
    length = sweep.training.context_length
    if shape.max_positions is not None and length > shape.max_positions:
        raise SpecError(
            f"{size} has only {shape.max_positions:,} positions.",
            where=str(path),
            key="training.context_length",
            value=length,
        )
    return {
        "model": shape,
        "learning_rate": sweep.training.learning_rate_for(shape),
        "init_from": init_from,
        "init_hash": init_hash,
        "num_processes": sweep.execution.num_processes_for(shape),
    }


def _init(path: Path, sweep: Sweep, size: str) -> tuple[str | None, str | None, ModelShape | None]:
    """The checkpoint a run of this size starts from, its hash where it is a folder here, and its shape, as far as it
    can be looked at."""
    own = sweep.models.get(size)
    given = own.init_from if own is not None and own.init_from else sweep.training.init_from
    if given is None:
        return None, None, None
    name = given.replace("{model_size}", size)
    folder = local_folder(path, name, "training.init_from")
    if folder is None:
        return name, None, read_hub_checkpoint(name, size)
    shape = read_checkpoint(folder, size)
    return str(folder.resolve()), hash_of([folder / CONFIG, *weight_files(folder)]), shape
