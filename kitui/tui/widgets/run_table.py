"""The table of runs or cells: marks and pins. Its columns are those of `services.columns`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kitui.services.columns import table_columns
from kitui.services.rows import CellRow, Row, RunRow
from kitui.tui.widgets.line_table import Column, LineTable

_MARKS = Column("marked", " ", 1)


def row_key(row: Row) -> tuple[Any, ...]:
    """What a line is known by, whether runs or cells are shown."""
    if isinstance(row, RunRow):
        return (row.run_id,)
    return (row.model, row.frequency, row.num_tokens, row.templates, *row.other_axes.items())


class RunTable(LineTable):
    def __init__(self, id: str | None = None) -> None:
        super().__init__((), self._texts, row_key, look=self._row_look, id=id, empty="  no run to show")
        self.marked: set[str] = set()
        self.pinned: set[str] = set()
        self._by_cell = False
        self._shown = table_columns((), by_cell=False)

    def show_runs(self, rows: Sequence[Row], *, by_cell: bool, among: Sequence[Row]) -> None:
        """Show these rows; `among`: of which an axis has a column if they differ in it."""
        self._by_cell = by_cell
        self._shown = table_columns(among, by_cell=by_cell)
        columns = [_MARKS]
        for column in self._shown:
            view = column.view(by_cell=by_cell)
            if view is not None:
                columns.append(Column(column.key, view.label, view.width, right=view.right))
        self.show(rows, columns=columns)

    @property
    def sortable(self) -> list[str]:
        return [c.key for c in self.columns if c is not _MARKS]

    @property
    def current_runs(self) -> list[str]:
        """The run, or the cell's runs, under the cursor."""
        return run_ids(self.current)

    @property
    def chosen(self) -> list[str]:
        """The marked runs, or else those under the cursor."""
        return sorted(self.marked) or self.current_runs

    def toggle_mark(self) -> None:
        self._toggle(self.marked)

    def toggle_pin(self) -> None:
        self._toggle(self.pinned)

    def _toggle(self, among: set[str]) -> None:
        current = set(self.current_runs)
        among.symmetric_difference_update(current - among if current - among else current)
        self.redraw()

    def _row_look(self, row: Row) -> str:
        is_trouble = row.status.is_trouble if isinstance(row, RunRow) else _only_trouble(row)
        if is_trouble:
            return "alert"
        return "pinned" if self.pinned.intersection(run_ids(row)) else ""

    def _texts(self, row: Row) -> list[str]:
        ids = run_ids(row)
        sign = "●" if self.marked.issuperset(ids) else "◐" if self.marked.intersection(ids) else ""
        texts = [sign or ("▸" if self.pinned.intersection(ids) else "")]
        for column in self._shown:
            view = column.view(by_cell=self._by_cell)
            if view is not None:
                texts.append(view.text(row))
        return texts


def run_ids(row: Row | None) -> list[str]:
    return [] if row is None else list(row.run_ids)


def _only_trouble(row: CellRow) -> bool:
    return len(row.statuses) == 1 and next(iter(row.statuses)).is_trouble
