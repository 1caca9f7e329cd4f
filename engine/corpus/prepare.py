"""The corpus command: plan a sweep file, or make the token files that a launched sweep needs.

    python -m engine.corpus.prepare plan SWEEP.toml --workspace DIR     prints the sweep's bundle; writes nothing
    python -m engine.corpus.prepare make SWEEP_FOLDER                   writes tokens/<tokens_id>/ and plan.json

A fault of the user's is printed as `{"error": …}` JSON, with the error's exit code.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import orjson

from engine.corpus.ahead import look_ahead
from engine.corpus.background import Background, fault_in, open_background
from engine.corpus.contamination import contamination
from engine.corpus.facts import check_distinct
from engine.corpus.plans import plan_of
from engine.corpus.token_folder import write_token_folder
from engine.corpus.tokenizer import load_tokenizer
from engine.errors import NO_ROOM, DamageError, DataError, KituiError, is_no_room
from engine.records.bundle import SweepBundle, read_bundle
from engine.records.plan import Contamination, Plan, PlannedAnalysis, read_plan
from engine.records.record import encoded, write_record
from engine.records.workspace import SweepFolder, Workspace, write_json
from engine.spec.axes import OTHER_AXES
from engine.spec.corpus_files import background_hashes
from engine.spec.files import read_text
from engine.spec.resolve import resolve
from engine.spec.runspec import CorpusSpec

_FIRST_MOMENT_S = 60.0


def plan(sweep_path: Path, workspace: Workspace, *, many: bool = False) -> SweepBundle:
    """A sweep's bundle: its cells (`many`: also more than usual), what they cost in tokens, and the ceiling. Writes
    nothing."""
    resolved = resolve(sweep_path, many=many)
    at_hand = look_ahead(resolved, workspace)
    planned = plan_of(
        resolved.runs,
        resolved.facts,
        at_hand.tokenizer,
        name=resolved.sweep.name,
        where=str(sweep_path),
        notes=at_hand.notes,
        analysis=PlannedAnalysis(**resolved.sweep.analysis.model_dump()),
        axes=[axis for axis in OTHER_AXES if getattr(resolved.sweep.grid, axis.key)],
        background_tokens=at_hand.background_tokens,
        unknown_in_text=at_hand.unknown_in_text,
        contamination=at_hand.contamination,
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
    fault = fault_in(folder)
    if fault is not None:
        print(f"{fault} It is made anew.", file=sys.stderr, flush=True)
    if fault is not None or not folder.exists():
        _check_background(bundle.corpus, str(sweep_folder.sweep_toml))
        write_token_folder(bundle.corpus, folder)
    tokenizer = load_tokenizer(folder)
    check_distinct(bundle.facts, tokenizer)
    background = open_background(folder)
    planned = plan_of(
        bundle.runs,
        bundle.facts,
        tokenizer,
        name=bundle.plan.sweep,
        where=str(sweep_folder.sweep_toml),
        notes=(*(note for note in bundle.plan.notes if not note.startswith("estimated")), *_skipped(background)),
        analysis=bundle.plan.analysis,
        axes=[axis for axis in OTHER_AXES if axis.field in bundle.plan.cells[0].other_axes],
        background_tokens=background.num_tokens,
        unknown_in_text=background.unknown_share,
        contamination=_counted_before(sweep_folder, bundle) or contamination(bundle.facts, tokenizer, background),
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


def _counted_before(sweep_folder: SweepFolder, bundle: SweepBundle) -> tuple[Contamination, ...] | None:
    """What was found when a plan of the same facts and text was made: a long text is looked through once."""
    try:
        before = read_plan(sweep_folder.plan)
    except DamageError:
        return None
    same = before and (before.facts_id, before.tokens_id) == (bundle.facts.facts_id, bundle.corpus.tokens_id)
    return before.contamination if before and same else None


def _skipped(background: Background) -> list[str]:
    return [f"{background.num_skipped:,} rows of the background have no text"] if background.num_skipped else []


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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.corpus.prepare")
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan")
    planning.add_argument("sweep", type=Path)
    planning.add_argument("--workspace", type=Path, required=True)
    planning.add_argument("--yes-many", action="store_true")
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--attempt", type=int, help="is written to prepared.json at the end")
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
            if options.attempt is not None:
                write_json(SweepFolder(folder).prepared, {"attempt": options.attempt})
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
