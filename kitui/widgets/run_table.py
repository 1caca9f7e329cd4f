"""The table of runs: cells change in place, row by row; the cursor and the marks stay where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from textual.widgets import DataTable

from kitui.format import retention
from kitui.snapshot import LearningCurve

# State is said by a sign and a word, never by colour alone.
SIGNS = {
    "done": "✓ done",
    "running": "▶ running",
    "queued": "· queued",
    "preparing": "· prep.",
    "failed": "✗ failed",
    "diverged": "✗ diverg.",
    "lost": "? lost",
    "cancelled": "– cancel.",
}


class _Column(NamedTuple):
    key: str
    label: str
    width: int


_COLUMNS = (
    _Column("mark", " ", 1),
    _Column("model", "size", 9),
    _Column("frequency", "F", 5),
    _Column("seed", "seed", 4),
    _Column("state", "state", 9),
    _Column("progress", "%", 4),
    _Column("overall", "R", 5),
    _Column("prior", "prior", 5),
    _Column("infused", "infus", 5),
)
ORDERS = ("grid", "overall", "prior", "infused", "state")


class RunTable(DataTable[str]):
    DEFAULT_CSS = "RunTable { height: 1fr; }"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", cell_padding=0, zebra_stripes=True)
        self.marked: set[str] = set()
        self._cells: dict[str, tuple[str, ...]] = {}
        self._order: list[str] = []

    def on_mount(self) -> None:
        for column in _COLUMNS:
            self.add_column(column.label, key=column.key, width=column.width + 1)

    def show(self, rows: list[dict[str, Any]], curves: Mapping[str, LearningCurve], order: str) -> None:
        """Bring the table to these rows; only cells that changed are touched."""
        ordered = rows if order == "grid" else sorted(rows, key=lambda r: _order_key(r, order))
        ids = [row["run_id"] for row in ordered]
        cells = {row["run_id"]: self._cells_of(row, curves.get(row["run_id"])) for row in ordered}
        if ids != self._order:
            at = self.current
            self.clear()
            for run_id in ids:
                self.add_row(*cells[run_id], key=run_id)
            self._order = ids
            if at in cells:
                self.move_cursor(row=ids.index(at), animate=False)
        else:
            for run_id, values in cells.items():
                old = self._cells[run_id]
                for column, value, before in zip(_COLUMNS, values, old, strict=True):
                    if value != before:
                        self.update_cell(run_id, column.key, value)
        self._cells = cells

    @property
    def current(self) -> str | None:
        """The run under the cursor."""
        return self._order[self.cursor_row] if 0 <= self.cursor_row < len(self._order) else None

    @property
    def chosen(self) -> list[str]:
        """The marked runs, or else the one under the cursor."""
        marked = [run_id for run_id in self._order if run_id in self.marked]
        return marked or ([self.current] if self.current else [])

    def toggle_mark(self) -> None:
        run_id = self.current
        if run_id is not None:
            self.marked ^= {run_id}
            self.update_cell(run_id, "mark", "●" if run_id in self.marked else " ")
            self._cells[run_id] = ("●" if run_id in self.marked else " ", *self._cells[run_id][1:])

    def unmark_all(self) -> None:
        for run_id in list(self.marked):
            self.marked.discard(run_id)
            if run_id in self._cells:
                self.update_cell(run_id, "mark", " ")
                self._cells[run_id] = (" ", *self._cells[run_id][1:])

    def _cells_of(self, row: dict[str, Any], curve: LearningCurve | None) -> tuple[str, ...]:
        scores = {name: row[name] for name in ("overall", "prior", "infused")}
        progress = ""
        if row["state"] == "running" and curve is not None:
            progress = f"{100 * curve.num_tokens / max(1, row['total_tokens']):.0f}"
            scores = {name: curve.retention[name][-1] if curve.retention.get(name) else None for name in scores}
        return (
            "●" if row["run_id"] in self.marked else " ",
            row["model"],
            f"{row['frequency']:,}",
            str(row["seed"]),
            SIGNS.get(row["state"], row["state"]),
            progress,
            *("" if value is None else retention(value) for value in scores.values()),
        )


def _order_key(row: dict[str, Any], order: str) -> tuple[Any, ...]:
    value = row[order]
    if order == "state":
        return (list(SIGNS).index(value) if value in SIGNS else 99,)
    return (value is None, -value if value is not None else 0)
