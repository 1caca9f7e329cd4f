"""`kitui runs` and `kitui logs`: a sweep's runs as rows, filtered, sorted, or averaged over seeds; a run's log."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.control.store import State
from engine.errors import SpecError, nearest
from engine.records.results import SCHEMA_VERSION
from engine.records.workspace import Workspace, read_json
from kitui.services.filters import parse_filter
from kitui.services.rows import CELL_COLUMNS, RUN_COLUMNS, Cells, imported_scores, run_rows, sorted_rows
from kitui.services.sweeps import known_sweep


def runs_document(
    workspace: Workspace, sweep: str, *, where: str | None, sort: str | None, by_seed: bool
) -> dict[str, Any]:
    """The document of `kitui runs --json`."""
    name, folder, plan = known_sweep(workspace, sweep)
    state = State(workspace)
    state.refresh()
    law = read_json(folder.law) if plan.imported or plan.simulated else None
    runs = run_rows(plan, state.sweeps.get(name), state.runs, imported_scores(plan, law["curves"]) if law else {})
    if where:
        keep = parse_filter(where, RUN_COLUMNS)
        runs = [row for row in runs if keep(row)]
    rows: list[Any] = list(runs) if by_seed else list(Cells().of(runs))
    if sort:
        rows = sorted_rows(rows, sort, RUN_COLUMNS if by_seed else CELL_COLUMNS)
    return {
        "schema_version": SCHEMA_VERSION,
        "sweep": name,
        "by_seed": by_seed,
        "runs": [msgspec.to_builtins(row) for row in rows],
    }


def known_run(workspace: Workspace, run: str) -> str:
    """The run of that id, or the only one whose id begins so. SpecError otherwise."""
    folder = workspace.root / "runs"
    ids = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    matching = [i for i in ids if i == run] or [i for i in ids if i.startswith(run)]
    if len(matching) != 1:
        what = f"{len(matching)} runs begin so." if matching else "no run has this id."
        mend = nearest(run, (matching or ids)[:20]) if ids else "None has been started yet."
        raise SpecError(what, where=str(workspace.root), value=run, mend=mend)
    return matching[0]
