"""Looking through all that a sweep's numbers are made of: is each file what was written?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import DataError, StateError
from engine.records.analysis import read_analysis
from engine.records.plan import Plan, read_plan
from engine.records.record import SCHEMA_VERSION
from engine.records.results import read_result
from engine.records.seals import check_manifest
from engine.records.workspace import Workspace


class Verified(NamedTuple):
    """What was looked at of a sweep, and what is wrong with it, in words."""

    sweep: str
    num_files: int
    faults: tuple[str, ...]


def verified(workspace: Workspace, name: str) -> Verified:
    """Look through a sweep: plan, bundle, facts, token files, results, checkpoints, imported tables and the law."""
    num_files, faults = 0, []
    for look in _looks(workspace, name):
        num_files += 1
        try:
            look()
        except (StateError, DataError) as error:
            faults.append(str(error))
    return Verified(name, num_files, tuple(dict.fromkeys(faults)))


def verified_document(found: list[Verified]) -> dict[str, Any]:
    """What `kitui verify --json` prints."""
    sweeps = [{"name": one.sweep, "num_files": one.num_files, "faults": list(one.faults)} for one in found]
    return {"schema_version": SCHEMA_VERSION, "sweeps": sweeps}


def _looks(workspace: Workspace, name: str) -> Iterator[Callable[[], object]]:
    """One thing to look at after the other; each raises what is wrong."""
    from engine.records.bundle import read_bundle, read_section  # pydantic, and below numpy
    from engine.spec.runspec import FactSets

    folder = workspace.sweep(name)
    plan = _read_plan(folder.plan)
    yield lambda: read_plan(folder.plan)
    yield lambda: read_analysis(folder.law)
    yield lambda: check_manifest(folder.root)
    if not folder.bundle.exists():
        return
    yield lambda: read_bundle(folder.bundle)
    if plan is None:
        return

    def facts() -> None:
        path = workspace.facts(plan.facts_id)
        if read_section(FactSets, path).facts_id != plan.facts_id:
            raise StateError("these are not the facts that it is named after.", where=str(path))

    def tokens() -> None:
        from engine.corpus.background import open_background

        check_manifest(workspace.tokens(plan.tokens_id))
        open_background(workspace.tokens(plan.tokens_id)).check()

    yield facts
    yield tokens
    for cell in plan.cells:
        run = workspace.run(cell.run_id)
        yield lambda run=run: read_result(run.result(plan.evaluation_id))  # type: ignore[misc]
        for checkpoint in sorted(run.checkpoints.glob("[0-9]*")) if run.checkpoints.is_dir() else ():
            yield lambda checkpoint=checkpoint: check_manifest(checkpoint)  # type: ignore[misc]


def _read_plan(path: Path) -> Plan | None:
    try:
        return read_plan(path)
    except StateError:
        return None
