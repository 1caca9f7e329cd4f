"""From a sweep file to its cells: facts read and partitioned, inputs hashed, each cell's run described and named."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import DataError, SpecError
from engine.spec import fact_sets
from engine.spec.axes import OTHER_AXES
from engine.spec.facts import Partition, partition, read_facts
from engine.spec.files import check_file
from engine.spec.models import preset
from engine.spec.questions import KINDS, EvaluationSettings
from engine.spec.runspec import (
    CorpusSpec,
    FactSets,
    RunNames,
    RunSpec,
    content_id,
    evaluation_identity,
)
from engine.spec.sweep import Sweep, check_num_cells
from engine.spec.sweep_file import read_sweep
from engine.spec.templates import RelationTemplates, read_templates


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
    corpus = _corpus_spec(path, sweep, facts)
    if sweep.background.source == "hub" and not sweep.background.revision:
        notes.append("background.revision is not pinned: the dataset may change between runs")
    runs = tuple(_runs(path, sweep, facts, corpus))
    return ResolvedSweep(sweep, path, facts, corpus, runs, tuple(notes))


def read_fact_sets(path: Path, sweep: Sweep) -> tuple[FactSets, list[str]]:
    """The facts of a sweep file, partitioned, with their templates; and what was left out, in words."""
    settings = sweep.facts
    facts_path = path.parent / settings.path
    facts, notes = read_facts(facts_path, merge_duplicates=settings.duplicates == "merge")
    templates_path = path.parent / settings.templates
    templates = read_templates(templates_path)
    for fact in facts:
        wanted = settings.relations is None or fact.relation in settings.relations
        if wanted and fact.relation not in templates:
            raise DataError(
                f"no template for the relation {fact.relation!r} (fact: {' · '.join(fact)}).",
                where=str(templates_path),
                key=fact.relation,
                mend=f"Add a table [{fact.relation}], or leave the relation out with facts.relations.",
            )
    drawn = partition(
        facts,
        num_prior=settings.num_prior,
        num_infused=settings.num_infused,
        num_unseen=settings.num_unseen,
        facts_seed=settings.facts_seed,
        relations=list(settings.relations) if settings.relations else None,
        objects_per_relation=settings.objects_per_relation,
        where=str(facts_path),
    )
    used = {r: templates[r] for r in sorted({f.relation for facts_of in drawn for f in facts_of})}
    _check_template_counts(path, templates_path, sweep, drawn, used)
    sets = FactSets(
        prior=drawn.prior,
        infused=drawn.infused,
        unseen=drawn.unseen,
        statements={r: t.statements for r, t in used.items()},
        questions={r: t.questions for r, t in used.items()},
        facts_seed=settings.facts_seed,
    )
    return sets, notes + check_questions(sets, sweep.evaluation, str(facts_path))


def check_questions(facts: FactSets, evaluation: EvaluationSettings, where: str) -> list[str]:
    """What is left unasked, in words. DataError where a whole set cannot be asked about; SpecError for a template that
    is not there."""
    kind = KINDS[evaluation.kind]
    notes = []
    fewest = min(facts.questions, key=lambda relation: len(facts.questions[relation]))
    if evaluation.question_template >= len(facts.questions[fewest]):
        raise SpecError(
            f"there are only {len(facts.questions[fewest])} for the relation {fewest}.",
            where=where,
            key="evaluation.question_template",
            value=evaluation.question_template,
            mend="Ask for a lower one, or add templates.",
        )
    for name in fact_sets.DRAWN:
        size = len(getattr(facts, name))
        num_asked = len({fact for block in facts.blocks(name, evaluation) for fact in block.facts})
        requirement = kind.requirement(evaluation)
        if size and not num_asked:
            raise DataError(
                f"no {name} fact can be asked about: {requirement}.",
                where=where,
                key=f"evaluation.{kind.limited_by}",
                value=getattr(evaluation, kind.limited_by),
                mend=kind.mend,
            )
        if num_asked < size:
            notes.append(f"{size - num_asked} of {size} {name} facts are not asked about: {requirement}")
    return notes


def _check_template_counts(
    path: Path, templates_path: Path, sweep: Sweep, drawn: Partition, used: dict[str, RelationTemplates]
) -> None:
    prior_relations = {fact.relation for fact in drawn.prior}
    infused_relations = {fact.relation for fact in drawn.infused}
    for relation, templates in used.items():
        needs = [("evaluation.question_template", sweep.evaluation.question_template + 1, templates.questions)]
        if relation in infused_relations:
            needs.append(("grid.num_templates", max(sweep.grid.num_templates), templates.statements))
        if relation in prior_relations:
            needs.append(("mixture.num_prior_templates", sweep.mixture.num_prior_templates, templates.statements))
        for key, wanted, have in needs:
            if wanted > len(have):
                raise SpecError(
                    f"{templates_path.name} has only {len(have)} for the relation {relation}.",
                    where=str(path),
                    key=key,
                    value=wanted if key != "evaluation.question_template" else wanted - 1,
                    mend=f"Ask for fewer, or add templates to {templates_path}.",
                )
    if sweep.mixture.prior_rate > 0 and not drawn.prior:
        raise SpecError(
            "there are no prior facts to write.",
            where=str(path),
            key="mixture.prior_rate",
            value=sweep.mixture.prior_rate,
            mend="Set facts.num_prior above 0, or prior_rate to 0.",
        )


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


def _settings_of_size(path: Path, sweep: Sweep, size: str) -> dict[str, Any]:
    shape = preset(size)
    init_from, init_hash = _init(path, sweep, size)
    return {
        "model": shape,
        "learning_rate": sweep.training.learning_rate_for(shape),
        "init_from": init_from,
        "init_hash": init_hash,
        "num_processes": sweep.execution.num_processes_for(shape),
    }


def _corpus_spec(path: Path, sweep: Sweep, facts: FactSets) -> CorpusSpec:
    background, tokenizer = sweep.background, sweep.tokenizer
    by_word = tokenizer.kind == "word"
    texts = {t for templates in (facts.statements, facts.questions) for per in templates.values() for t in per}
    absolute = tuple(str(p) for p in _background_files(path, sweep))
    name = tokenizer.name
    local = (path.parent / name) if name and (path.parent / name).is_dir() else None
    return CorpusSpec(
        background=background.model_copy(update={"path": absolute or None}),
        background_hashes=background_hashes(background.source, absolute),
        tokenizer=tokenizer.model_copy(update={"name": str(local.resolve())}) if local else tokenizer,
        tokenizer_hash=_hash_files(sorted(local.glob("*token*"))) if local else None,
        entities=facts.entities if by_word else (),
        template_texts=tuple(sorted(texts)) if by_word else (),
    )


def _background_files(path: Path, sweep: Sweep) -> list[Path]:
    if sweep.background.source != "files":
        return []
    files: list[Path] = []
    for pattern in sweep.background.paths:
        base = Path(pattern).expanduser()
        root, relative = (
            (Path(base.anchor), str(base.relative_to(base.anchor))) if base.is_absolute() else (path.parent, pattern)
        )
        found = sorted(p for p in root.glob(relative) if p.is_file())
        if not found:
            raise SpecError(
                "no such file.",
                where=str(path),
                key="background.path",
                value=pattern,
                mend="Paths are relative to the sweep file's folder.",
            )
        files.extend(p.resolve() for p in found)
    kinds = sorted({p.suffix for p in files})
    if len(kinds) > 1 or kinds[0] not in (".txt", ".jsonl", ".parquet"):
        raise SpecError(
            f"found files of kind {', '.join(kinds)}; expected .txt, .jsonl or .parquet, all of one kind.",
            where=str(path),
            key="background.path",
            value=list(sweep.background.paths),
        )
    return list(dict.fromkeys(files))


def background_hashes(source: str, paths: Sequence[str]) -> dict[str, str]:
    """SHA-256 of what the background is made of, by file; nothing for a hub dataset."""
    if source == "builtin":
        from pydoc_data.topics import topics  # half a megabyte, only wanted here

        digest = hashlib.sha256("\0".join(f"{k}\0{topics[k]}" for k in sorted(topics)).encode())
        return {"pydoc_data.topics": digest.hexdigest()}
    return {path: _hash_files([Path(path)]) for path in paths}


def _init(path: Path, sweep: Sweep, size: str) -> tuple[str | None, str | None]:
    """The checkpoint a run of this size starts from, and its hash where it is a folder here."""
    if sweep.training.init_from is None:
        return None, None
    name = sweep.training.init_from.replace("{model_size}", size)
    folder = path.parent / name
    if not folder.is_dir():
        if name.startswith((".", "/", "~")):
            raise SpecError(
                "no such folder.", where=str(path), key="training.init_from", value=name, mend="Give a checkpoint."
            )
        return name, None
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise SpecError(
            f"no .safetensors weights in {folder}.",
            where=str(path),
            key="training.init_from",
            value=name,
            mend="Other formats can run code when loaded, and are not read.",
        )
    return str(folder.resolve()), _hash_files([folder / "config.json", *weights])


def _hash_files(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        check_file(file)
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
