"""The verifying command: look through all that the numbers of sweeps are made of. Is each file what was written?

python -m engine.corpus.verify WORKSPACE SWEEP...     prints what it has found; changes nothing
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from engine.corpus.background import open_background
from engine.errors import DamageError, DataError, StateError
from engine.records.analysis import read_analysis
from engine.records.bundle import read_bundle, read_section
from engine.records.plan import Plan, read_plan
from engine.records.record import encoded
from engine.records.results import read_result
from engine.records.seals import check_manifest
from engine.records.verified import VerifiedDocument, VerifiedSweep
from engine.records.workspace import Workspace
from engine.spec.runspec import FactSets


def verified(workspace: Workspace, name: str) -> VerifiedSweep:
    """Look through a sweep: plan, bundle, law, imported table, facts, token files, results, checkpoints."""
    num_looked_at, faults = 0, []
    for look in _looks(workspace, name):
        num_looked_at += 1
        try:
            look()
        except (StateError, DataError) as error:
            faults.append(str(error))
    return VerifiedSweep(name=name, num_looked_at=num_looked_at, faults=tuple(dict.fromkeys(faults)))


def _looks(workspace: Workspace, name: str) -> Iterator[Callable[[], object]]:
    """One thing to look at after the other; each raises what is wrong."""
    folder = workspace.sweep(name)
    yield partial(read_plan, folder.plan)
    yield partial(read_analysis, folder.law)
    yield partial(check_manifest, folder.root)
    if not folder.bundle.exists():
        return
    yield partial(read_bundle, folder.bundle)
    plan = _plan_in(folder.plan)
    if plan is None:
        return
    yield partial(_check_facts, workspace.facts(plan.facts_id))
    yield partial(_check_tokens, workspace.tokens(plan.tokens_id))
    for cell in plan.cells:
        run = workspace.run(cell.run_id)
        yield partial(read_result, run.result(plan.evaluation_id))
        for checkpoint in sorted(run.checkpoints.glob("[0-9]*")):
            yield partial(_check_checkpoint, checkpoint)


def _plan_in(path: Path) -> Plan | None:
    try:
        return read_plan(path)
    except StateError:  # looked at, and said, already
        return None


def _check_facts(path: Path) -> None:
    if read_section(FactSets, path).facts_id != path.stem:
        raise StateError("these are not the facts that it is named after.", where=str(path))


def _check_checkpoint(folder: Path) -> None:
    """A run that trains replaces and removes checkpoints: what is wrong counts where it still is at a second look."""
    try:
        check_manifest(folder)
    except DamageError:
        if folder.exists():
            check_manifest(folder)


def _check_tokens(folder: Path) -> None:
    check_manifest(folder)
    open_background(folder).check()


def main(arguments: Sequence[str]) -> int:
    workspace, *names = arguments
    found = VerifiedDocument(sweeps=tuple(verified(Workspace(Path(workspace)), name) for name in names))
    sys.stdout.buffer.write(encoded(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
