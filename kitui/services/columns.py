"""The columns of runs and cells, each defined once: what filters and sorting read, what JSON has, what tables show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from engine.errors import SpecError, nearest
from engine.records.measures import FURTHER
from engine.records.states import RunStatus
from engine.spec import fact_sets
from engine.spec.axes import AXES, SIZE, Axis
from kitui.services.format import retention
from kitui.services.rows import CellRow, Row, RunRow

_R = TypeVar("_R", bound=Row)
Getter = Callable[[Any], Any]


class View(NamedTuple):
    """How a column stands in a table."""

    label: str
    width: int
    text: Callable[[Any], str]
    right: bool = True


class Column(NamedTuple):
    key: str
    run: Getter | None = None
    """Its value of a run; None where only cells have it."""
    cell: Getter | None = None
    run_view: View | None = None
    """In the table of runs, where it has room for the column."""
    cell_view: View | None = None
    axis: Axis | None = None
    """Shown only where the rows differ in it, but for size and frequency."""

    def view(self, *, by_cell: bool) -> View | None:
        return self.cell_view if by_cell else self.run_view


def _attribute(key: str, *, in_cells: bool = True) -> Column:
    get = attrgetter(key)
    return Column(key, get, get if in_cells else None)


def _axis(axis: Axis) -> Column:
    """A column for an axis: the size goes by its name in tables, and by its number elsewhere."""
    get: Getter = axis.of if axis.spec_field else attrgetter(axis.column)
    text = attrgetter("model") if axis is SIZE else lambda row: axis.words(get(row))
    view = View(axis.label, axis.width, text, right=axis is not SIZE)
    of_cell = get if axis.in_cell else None
    return Column(axis.column, get, of_cell, view, view if of_cell else None, axis)


def _score(fact_set: fact_sets.FactSet) -> list[Column]:
    """Retention of a fact set; of cells with its standard deviation beside it."""
    name = fact_set.name

    def get(row: Row) -> float | None:
        return row.score(name)

    def get_sd(row: CellRow) -> float | None:
        return row.sds.get(name)

    of_sd = Column(f"{name}_sd", None, get_sd)
    if not fact_set.in_table:
        return [Column(name, get, get), of_sd]
    head = f"{fact_set.label} ± sd" if fact_set is fact_sets.OVERALL else name
    run_view = View(fact_set.label, 5, lambda row: _retention(get(row)))
    cell_view = View(head, 9, lambda row: with_sd(get(row), get_sd(row), " ±"))
    return [Column(name, get, get, run_view, cell_view), of_sd]


def _further(key: str) -> Column:
    return Column(key, lambda row: row.score(key), lambda row: row.score(key))


def _run_state(row: RunRow) -> str:
    return f"{row.status.sign} {row.status.short}"


def _cell_state(row: CellRow) -> str:
    """The sign and the word; of a cell whose runs differ, the signs with how many: ✓24 ▶1."""
    if len(row.statuses) == 1:
        status = next(iter(row.statuses))
        return f"{status.sign} {status.short}"
    return " ".join(f"{status.sign}{number}" for status, number in row.statuses.items())


def _percent(row: RunRow) -> str:
    return "" if row.progress is None or row.status is not RunStatus.RUNNING else f"{100 * row.progress:.0f}"


COLUMNS: tuple[Column, ...] = (
    _attribute("run_id", in_cells=False),
    _attribute("model"),
    *(_axis(axis) for axis in AXES),
    _attribute("total_tokens", in_cells=False),
    Column("n", None, attrgetter("n"), None,
           View("n", 5, lambda row: f"{row.n}/{row.n + row.missing}" if row.missing else str(row.n))),
    Column("state", lambda row: row.status.value, attrgetter("state"),
           View("state", 9, _run_state, right=False), View("state", 8, _cell_state, right=False)),
    Column("missing", None, attrgetter("missing")),
    _attribute("attempt", in_cells=False),
    Column("progress", attrgetter("progress"), None, View("%", 4, _percent)),
    *(column for one in fact_sets.FACT_SETS for column in _score(one)),
    *(_further(measure.column(name)) for measure in FURTHER for name in fact_sets.ASKED),
    _attribute("loss", in_cells=False),
    _attribute("prior_exposures"),
    _attribute("background_loss"),
    _attribute("background_epochs", in_cells=False),
    _attribute("tokens_per_s"),
    _attribute("elapsed_s", in_cells=False),
    _attribute("reason", in_cells=False),
    _attribute("host", in_cells=False),
)  # fmt: skip
RUN_VALUES: Mapping[str, Getter] = {column.key: column.run for column in COLUMNS if column.run is not None}
CELL_VALUES: Mapping[str, Getter] = {column.key: column.cell for column in COLUMNS if column.cell is not None}
ALIASES = {axis.alias: axis.column for axis in AXES if axis.alias != axis.column} | {
    "size": "model", "R": "overall", "tokens": "num_tokens",
}  # fmt: skip
"""As the heads of tables and the papers call them."""


def table_columns(rows: Sequence[Row], *, by_cell: bool) -> list[Column]:
    """The columns of a table of these rows: axes that all rows agree in take no room."""
    shown = []
    for column in COLUMNS:
        if column.view(by_cell=by_cell) is None:
            continue
        get = column.cell if by_cell else column.run
        varies = column.axis is None or column.axis.always_shown
        if varies or (get is not None and len({get(row) for row in rows}) > 1):
            shown.append(column)
    return shown


def sorted_rows(rows: Sequence[_R], key: str, values: Mapping[str, Getter]) -> list[_R]:
    """Rows by a column, `-column` descending; empty values last either way. SpecError for no such column."""
    column, descending = key.removeprefix("-"), key.startswith("-")
    if column not in values:
        raise SpecError("no such column.", key="--sort", value=column, mend=nearest(column, tuple(values)))
    get = values[column]
    filled = [row for row in rows if get(row) is not None]
    filled.sort(key=get, reverse=descending)
    return filled + [row for row in rows if get(row) is None] if len(filled) < len(rows) else filled


def row_json(row: Row) -> dict[str, object]:
    """A row as the contract of the command line has it."""
    if isinstance(row, RunRow):
        return {key: get(row) for key, get in RUN_VALUES.items()}
    return {key: get(row) for key, get in CELL_VALUES.items()} | {"run_ids": list(row.run_ids)}


def with_sd(mean: float | None, sd: float | None, sign: str) -> str:
    return _retention(mean) if sd is None else f"{retention(mean)}{sign}{retention(sd)}"


def _retention(value: float | None) -> str:
    return "" if value is None else retention(value)
