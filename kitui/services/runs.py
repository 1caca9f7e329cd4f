"""`kitui runs`: a sweep's runs as rows, filtered, sorted, or averaged over seeds; the app asks the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.control.ledger.state_file import read_state
from engine.control.status import unseen_runs
from engine.records.plan import Plan
from engine.records.record import SCHEMA_VERSION, Record
from engine.records.states import RunStatus
from engine.records.workspace import SweepFolder, Workspace
from kitui.services.columns import ALIASES, CELL_VALUES, RUN_VALUES, row_json, sorted_rows
from kitui.services.filters import Getter, Predicate, completion, parse_filter
from kitui.services.rows import CellRow, Cells, Row, RunRow, Scores, run_rows
from kitui.services.sweeps import known_sweep


class RunsDocument(Record, frozen=True, kw_only=True):
    """`kitui runs --json`."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    by_seed: bool
    runs: tuple[dict[str, Any], ...]
    """A row each, its columns by name."""


def runs_of(workspace: Workspace, sweep: str, *, where: str | None, sort: str | None, by_seed: bool) -> list[Row]:
    """The rows that are asked for. SpecError for a filter or a column that is not understood."""
    _, folder, plan = known_sweep(workspace, sweep)
    state = read_state(workspace)
    unseen = unseen_runs(workspace, state.runs)
    rows = run_rows(plan, state.sweeps, state.runs, state.hosts, foreign_scores(folder, plan), unseen)
    return arranged(rows, where, sort, by_seed=by_seed, cells=Cells())


def runs_document(sweep: str, rows: Sequence[Row], *, by_seed: bool) -> RunsDocument:
    return RunsDocument(sweep=sweep, by_seed=by_seed, runs=tuple(row_json(row) for row in rows))


def arranged(rows: Sequence[RunRow], where: str | None, sort: str | None, *, by_seed: bool, cells: Cells) -> list[Row]:
    """Rows filtered, gathered into cells unless they are wanted `by_seed`, and sorted by a column (`-column`).

    A filter of cells picks whole cells, by their means: one of runs would leave means over the seeds that happen to lie
    on one side of it."""
    found: list[Row]
    if by_seed:
        found = list(filter(run_filter(where), rows)) if where else list(rows)
    else:
        all_cells = cells.of(rows)
        found = list(_cells_where(where, all_cells, rows) if where else all_cells)
    return sorted_rows(found, sort, RUN_VALUES if by_seed else CELL_VALUES) if sort else found


_NAMES = ("model", "run_id", "host")
"""Where a word alone is looked for."""


def run_filter(expression: str) -> Predicate:
    """SpecError points at what is not understood."""
    return parse_filter(expression, RUN_VALUES, ALIASES, _NAMES)


def _cells_where(expression: str, cells: Sequence[CellRow], rows: Sequence[RunRow]) -> list[CellRow]:
    """The cells of which a run fits, its outcomes being those of its cell: what only runs have (state, seed, host) is
    asked of each run, all else of the cell."""
    of_cells = {name: get for name, get in CELL_VALUES.items() if name != "state"}
    values: dict[str, Getter] = {name: _second(get) for name, get in RUN_VALUES.items()}
    values |= {name: _first(get) for name, get in of_cells.items()}
    fits = parse_filter(expression, values, ALIASES, _NAMES)
    by_id = {row.run_id: row for row in rows}
    return [cell for cell in cells if any(fits((cell, by_id[run_id])) for run_id in cell.run_ids)]


def _first(get: Getter) -> Getter:
    return lambda pair: get(pair[0])


def _second(get: Getter) -> Getter:
    return lambda pair: get(pair[1])


def complete_filter(expression: str) -> str | None:
    """The expression with its last word completed, or None."""
    return completion(expression, tuple(RUN_VALUES), {"state": tuple(RunStatus)})


def foreign_scores(folder: SweepFolder, plan: Plan) -> dict[str, Scores]:
    """Scores by run of a sweep that was not trained here; nothing of others."""
    if not plan.is_foreign:
        return {}
    from engine.analysis.imports import read_scores  # pyarrow takes a moment

    return dict(read_scores(folder, plan))
