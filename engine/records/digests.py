"""Names for what an analysis reads: whether a law on file is still the one that its sweep's results give."""

from __future__ import annotations

import hashlib

import msgspec

from engine.errors import DamageError
from engine.records.plan import Plan
from engine.records.record import Record
from engine.records.seals import check_seal
from engine.records.workspace import SweepFolder, Workspace

ANALYSIS_SEMANTICS = 4
"""Raise by hand whenever the same results would give other curves, collapse points, laws or predictions: a law on file
of another number is worked out anew. tests/engine/analysis/test_golden_law.py fails when numbers move without it."""


class LawHead(Record, frozen=True, kw_only=True):
    """What `law.json` says of itself: what it was made of, and by which analysis."""

    inputs: str
    analysis_semantics: int = 0
    """0 where it was written before there was this number."""
    num_unsettled: int = 0


def read_law_head(folder: SweepFolder) -> LawHead | None:
    """None where there is no law on file, or none that can be read: it is to be made then."""
    try:
        content = folder.law.read_bytes()
        check_seal(content, folder.law)
        return msgspec.json.decode(content, type=LawHead)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, DamageError):
        return None


def is_law_behind(plan: Plan, workspace: Workspace) -> bool:
    """Whether the law on file lacks a result that is there, was made by another analysis, or is not settled yet."""
    folder = workspace.sweep(plan.sweep)
    return read_law_head(folder) != LawHead(
        inputs=results_digest(plan, folder, workspace), analysis_semantics=ANALYSIS_SEMANTICS
    )


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
