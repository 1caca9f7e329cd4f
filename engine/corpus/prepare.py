"""The corpus command: plan a sweep file, or make the token files that a launched sweep needs.

    python -m engine.corpus.prepare plan SWEEP.toml --workspace DIR     prints the sweep's bundle; writes nothing
    python -m engine.corpus.prepare make SWEEP_FOLDER                   writes tokens/<tokens_id>/ and plan.json

A fault of the user's is printed as `{"error": …}` JSON, with the error's exit code.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from engine.corpus.background import CHECKED_BY_MANIFEST, open_background, read_documents, write_background
from engine.corpus.facts import check_distinct, infused_renderings, prior_renderings
from engine.corpus.mixture import planned_prior_exposures, tokens_on_top
from engine.corpus.schedule import ceiling, fits
from engine.corpus.tokenizer import TOKENIZER_FILES, Tokenizer, load_tokenizer, make_tokenizer, save_tokenizer
from engine.errors import NO_ROOM, DamageError, DataError, KituiError, SpecError, is_no_room
from engine.records.bundle import SweepBundle, read_bundle
from engine.records.plan import Ceiling, Plan, PlannedAnalysis, PlannedCell
from engine.records.record import encoded, write_record
from engine.records.seals import check_manifest, write_manifest
from engine.records.workspace import SweepFolder, Workspace, is_locked, sync_folder, write_json
from engine.spec.axes import OTHER_AXES, Axis
from engine.spec.files import read_text
from engine.spec.resolve import background_hashes, resolve
from engine.spec.runspec import CorpusSpec, FactSets, RunSpec

# Where no tokenizer can be had: English runs at about 4 characters a token under the usual 32k to 128k vocabularies.
_GUESSED_CHARS_PER_TOKEN = 4.0
_GUESSED_VOCAB_SIZE = 50_257
# Training a tokenizer only to count tokens is worth it up to here.
_LARGEST_PLANNED_TEXT_BYTES = 64 * 2**20
_FIRST_MOMENT_S = 60.0


def plan(sweep_path: Path, workspace: Workspace, *, many: bool = False) -> SweepBundle:
    """A sweep's bundle: its cells (`many`: also more than usual), what they cost in tokens, and the ceiling. Writes
    nothing."""
    resolved = resolve(sweep_path, many=many)
    tokens_folder = workspace.tokens(resolved.corpus.tokens_id)
    tokenizer, background_tokens = None, None
    notes = list(resolved.notes)
    if tokens_folder.exists() and _fault_in(tokens_folder, with_text=False) is None:
        tokenizer = load_tokenizer(tokens_folder)
        background_tokens = open_background(tokens_folder).num_tokens
    elif _cheap_to_plan(resolved.corpus):
        try:
            tokenizer = make_tokenizer(resolved.corpus, read_documents(resolved.corpus))
        except DataError as error:
            if resolved.corpus.tokenizer.kind != "hf":
                raise
            notes.append(f"estimated: {error.what}")
    if tokenizer is None and not any(note.startswith("estimated") for note in notes):
        notes.append("estimated: the tokenizer is made from the background, which is read when the sweep is prepared")
    if tokenizer is not None:
        check_distinct(resolved.facts, tokenizer)
    planned = _measure(
        resolved.runs,
        resolved.facts,
        tokenizer,
        name=resolved.sweep.name,
        where=str(sweep_path),
        notes=tuple(notes),
        analysis=PlannedAnalysis(**resolved.sweep.analysis.model_dump()),
        axes=[axis for axis in OTHER_AXES if getattr(resolved.sweep.grid, axis.key)],
        background_tokens=background_tokens,
    )
    return SweepBundle(
        sweep_toml=read_text(resolved.path),
        origin=str(resolved.path),
        plan=planned,
        corpus=resolved.corpus,
        facts=resolved.facts,
        runs=resolved.runs,
        slots=resolved.sweep.execution.slots,
        max_attempts=resolved.sweep.execution.max_attempts,
        max_gpu_hours=resolved.sweep.execution.max_gpu_hours,
        max_disk_bytes=resolved.sweep.execution.max_disk_bytes,
    )


def make(sweep_folder: SweepFolder, workspace: Workspace) -> Plan:
    """Write the sweep's token files unless they are there, and its plan.json with everything measured."""
    bundle = read_bundle(sweep_folder.bundle)
    if bundle is None:
        raise DataError("there is no launched sweep in this folder.", where=str(sweep_folder.root))
    folder = workspace.tokens(bundle.corpus.tokens_id)
    _drop_leftovers(folder)
    fault = _fault_in(folder)
    if fault is not None:
        print(f"{fault} It is made anew.", file=sys.stderr, flush=True)
    if fault is not None or not folder.exists():
        _check_background(bundle.corpus, str(sweep_folder.sweep_toml))
        _write_tokens(bundle.corpus, folder)
    tokenizer = load_tokenizer(folder)
    check_distinct(bundle.facts, tokenizer)
    background = open_background(folder)
    planned = _measure(
        bundle.runs,
        bundle.facts,
        tokenizer,
        name=bundle.plan.sweep,
        where=str(sweep_folder.sweep_toml),
        notes=tuple(note for note in bundle.plan.notes if not note.startswith("estimated")),
        analysis=bundle.plan.analysis,
        axes=[axis for axis in OTHER_AXES if axis.field in bundle.plan.cells[0].other_axes],
        background_tokens=background.num_tokens,
    )
    if background.num_tokens < bundle.runs[0].training.context_length:
        raise DataError(
            f"the background has only {background.num_tokens:,} tokens to train on, less than one row.",
            where=str(sweep_folder.sweep_toml),
            key="background",
            mend="Give more text, or lower background.heldout_tokens.",
        )
    write_record(sweep_folder.plan, planned)
    return planned


def _check_background(corpus: CorpusSpec, where: str) -> None:
    """DataError where the text is not the one that the sweep was launched with: its runs would be other runs."""
    found = background_hashes(corpus.background.source, corpus.background.paths)
    for (name, now), then in zip(found.items(), corpus.background_hashes.values(), strict=True):
        if now != then:
            builtin = corpus.background.source == "builtin"
            mend = "Use the Python version there that the sweep was launched with, or a background of your own."
            raise DataError(
                f"another text than the sweep was launched with{' (it differs between versions of Python)' * builtin}.",
                where=where,
                key="background",
                value=name,
                mend=mend if builtin else "Launch the sweep again.",
            )


def _fault_in(folder: Path, *, with_text: bool = True) -> DamageError | None:
    """What is wrong with these token files, if they are there; a large text is not read for a plan's sake."""
    if not folder.exists():
        return None
    try:
        check_manifest(folder)
        background = open_background(folder)
        if with_text:
            background.check()
    except DamageError as error:
        return error
    return None


def _drop_leftovers(folder: Path) -> None:
    """Remove what preparations of this folder that were killed have left. One that goes on holds a lock on its own, but
    not yet in its first moment."""
    for leftover in folder.parent.glob(f".{folder.name}.*"):
        if time.time() - leftover.stat().st_mtime > _FIRST_MOMENT_S and not is_locked(leftover):
            shutil.rmtree(leftover, ignore_errors=True)


def _write_tokens(corpus: CorpusSpec, folder: Path) -> None:
    """Build the token folder aside and rename it in, so that a folder of that name is always complete."""
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    descriptor = os.open(building, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        tokenizer = make_tokenizer(corpus, read_documents(corpus))
        save_tokenizer(tokenizer, building)
        write_background(corpus, tokenizer, building)
        write_json(building / "corpus.json", corpus.model_dump(mode="json"))
        write_manifest(building, [*TOKENIZER_FILES, *CHECKED_BY_MANIFEST, "corpus.json"])
        for file in building.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        sync_folder(building)
        damaged = building.with_name(f"{building.name}.damaged")
        if folder.exists():
            os.replace(folder, damaged)
        os.replace(building, folder)
        sync_folder(folder.parent)
        shutil.rmtree(damaged, ignore_errors=True)
    except OSError as error:
        if folder.exists():  # another preparation was quicker
            return
        if is_no_room(error):
            raise
        raise DataError(f"the token files cannot be written: {error.strerror}.", where=str(folder)) from None
    finally:
        os.close(descriptor)
        shutil.rmtree(building, ignore_errors=True)


def _cheap_to_plan(corpus: CorpusSpec) -> bool:
    if corpus.tokenizer.kind == "hf" or corpus.background.source == "builtin":
        return True
    sizes = [Path(p).stat().st_size for p in corpus.background.paths]
    return corpus.background.source == "files" and sum(sizes) <= _LARGEST_PLANNED_TEXT_BYTES


def _measure(
    runs: tuple[RunSpec, ...],
    facts: FactSets,
    tokenizer: Tokenizer | None,
    *,
    name: str,
    where: str,
    notes: tuple[str, ...],
    analysis: PlannedAnalysis,
    axes: Sequence[Axis],
    background_tokens: int | None,
) -> Plan:
    """The plan of these runs, one a cell. SpecError for a dose that does not pack."""
    first = runs[0]
    length = first.training.context_length
    most_templates = max(run.num_templates for run in runs)
    vocab_size = tokenizer.vocab_size if tokenizer else None
    if tokenizer is None:
        characters = [len(f.subject) + len(f.object) + 20 for f in facts.infused]
        tokens_per_fact = sum(characters) / len(characters) / _GUESSED_CHARS_PER_TOKEN
    else:
        infused = infused_renderings(facts, most_templates, tokenizer)
        prior = prior_renderings(facts, first, tokenizer)
        tokens_per_fact = float(infused.lengths_FT.mean())
        for fact_set, renderings in (("infused", infused), ("prior", prior)):
            _check_lengths(renderings.lengths_FT, length, fact_set, where)

    ceilings = {}
    for num_tokens in sorted({run.num_tokens for run in runs}):
        if tokenizer:
            _check_prior(prior.lengths_FT, first, num_tokens, where)
        for templates in sorted({run.num_templates for run in runs}):
            top = None
            if first.mixture.kind == "displace" and tokenizer:
                top = ceiling(infused.lengths_FT[:, :templates], num_tokens // length, length)
            elif first.mixture.kind == "displace":
                top = int(num_tokens / (tokens_per_fact * len(facts.infused)))
            ceilings[num_tokens, templates] = Ceiling(
                num_tokens=num_tokens, num_templates=templates, ceiling_frequency=top
            )
    for run in runs:
        top = ceilings[run.num_tokens, run.num_templates].ceiling_frequency
        if top is not None and run.frequency > top:
            raise SpecError(
                f"above the ceiling: {run.num_tokens:,} tokens hold {len(facts.infused):,} facts of "
                f"{tokens_per_fact:.1f} tokens at most {top:,} times each.",
                where=where,
                key="grid.infusion_frequency",
                value=run.frequency,
                mend=f"Use {top:,} or less, more tokens, or fewer infused facts.",
            )
    costs = {run.model.name: _costs_of_size(run, vocab_size or _GUESSED_VOCAB_SIZE) for run in _one_a_size(runs)}
    cells = tuple(
        _cell(run, axes, costs, run.num_tokens + tokens_on_top(run, infused) if tokenizer else None) for run in runs
    )
    return Plan(
        sweep=name,
        estimated=tokenizer is None,
        evaluation_id=first.evaluation_id,
        facts_id=first.facts_id,
        tokens_id=first.tokens_id,
        fill=next((run.mixture.fill for run in runs if run.frequency), first.mixture.fill),
        mixture=first.mixture.kind,
        stages=next((f"two, replay {run.stages.replay_share:g}" for run in runs if run.stages), None),
        num_infused_facts=len(facts.infused),
        num_prior_facts=len(facts.prior),
        num_choices=first.evaluation.num_choices,
        vocab_size=vocab_size,
        tokens_per_fact=tokens_per_fact,
        prior_exposures=first.mixture.prior_rate * first.num_tokens / 1e6,
        background_tokens=background_tokens,
        ceilings=tuple(ceilings.values()),
        analysis=analysis,
        cells=cells,
        notes=notes,
    )


def _check_prior(lengths_FT: np.ndarray, first: RunSpec, num_tokens: int, where: str) -> None:
    """SpecError if the prior facts, as often as asked, do not pack into D tokens."""
    length, rate = first.training.context_length, first.mixture.prior_rate
    rows = num_tokens // length
    if not fits(lengths_FT, planned_prior_exposures(rate, num_tokens), rows, length):
        raise SpecError(
            f"the prior facts alone do not pack into {num_tokens:,} tokens.",
            where=where,
            key="mixture.prior_rate",
            value=rate,
            mend=f"At most {ceiling(lengths_FT, rows, length) * 1e6 / num_tokens:.0f} a million tokens fit.",
        )


class _Costs(NamedTuple):
    """What is the same for all runs of a size."""

    num_params: int
    num_params_total: int
    train_flops_per_token: float
    memory_bytes: int


def _one_a_size(runs: Sequence[RunSpec]) -> Iterable[RunSpec]:
    return {run.model.name: run for run in runs}.values()


def _costs_of_size(run: RunSpec, vocab_size: int) -> _Costs:
    return _Costs(
        num_params=run.model.num_params,
        num_params_total=run.model.num_params_total(vocab_size),
        train_flops_per_token=run.model.train_flops_per_token(vocab_size, run.training.context_length),
        memory_bytes=run.memory_bytes(vocab_size, run.num_processes, run.data_parallel),
    )


def _cell(run: RunSpec, axes: Sequence[Axis], costs: dict[str, _Costs], total_tokens: int | None) -> PlannedCell:
    """`axes`: those of this sweep that have no field of their own in a cell."""
    of_size = costs[run.model.name]
    return PlannedCell(
        run_id=run.run_id,
        model=run.model.name,
        num_params=of_size.num_params,
        num_params_total=of_size.num_params_total,
        num_tokens=run.num_tokens,
        frequency=run.frequency,
        num_templates=run.num_templates,
        seed=run.seed,
        total_tokens=total_tokens,
        train_flops=of_size.train_flops_per_token * (total_tokens or run.num_tokens),
        memory_bytes=of_size.memory_bytes,
        num_processes=run.num_processes,
        other_axes={axis.field: getattr(run, axis.spec_field) for axis in axes},
    )


def _check_lengths(lengths_FT: np.ndarray, row_length: int, fact_set: str, where: str) -> None:
    if lengths_FT.size and int(lengths_FT.max()) > row_length:
        raise SpecError(
            f"an exposure of {int(lengths_FT.max())} tokens ({fact_set}) is longer than a row.",
            where=where,
            key="training.context_length",
            value=row_length,
            mend="Use a longer context, or shorter templates.",
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.corpus.prepare")
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan")
    planning.add_argument("sweep", type=Path)
    planning.add_argument("--workspace", type=Path, required=True)
    planning.add_argument("--yes-many", action="store_true")
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.command == "plan":
            bundle = plan(options.sweep, Workspace(options.workspace), many=options.yes_many)
            sys.stdout.buffer.write(encoded(bundle))
        else:
            # Ended on request, it leaves nothing half-made behind.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
            folder = options.folder.resolve()
            make(SweepFolder(folder), Workspace(folder.parent.parent))
    except KituiError as error:
        sys.stdout.buffer.write(orjson.dumps(error.to_json()) + b"\n")
        return error.exit_code
    except OSError as error:
        if not is_no_room(error):
            raise
        return NO_ROOM
    return 0


if __name__ == "__main__":
    sys.exit(main())
