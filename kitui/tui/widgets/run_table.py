"""The table of runs or cells: marks, pins, and how a row reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.spec.numbers import format_count
from kitui.services.format import retention
from kitui.services.rows import CellRow, RunRow
from kitui.tui.widgets.line_table import Column, LineTable

# State is said by a sign and a word, never by colour alone.
SIGNS = {
    "done": "✓ done",
    "running": "▶ running",
    "queued": "· queued",
    "preparing": "· prep.",
    "paused": "‖ paused",
    "failed": "✗ failed",
    "diverged": "✗ diverg.",
    "lost": "? lost",
    "cancelled": "– cancel.",
}
_TROUBLE = ("failed", "diverged", "lost")
_SIZE = Column("params", "size", 9)
_DOSE = Column("frequency", "F", 6, right=True)
_BUDGET = Column("num_tokens", "D", 6, right=True)
_TEMPLATES = Column("templates", "T", 3, right=True)
_RUN = (
    Column("seed", "seed", 4, right=True),
    Column("state", "state", 9),
    Column("progress", "%", 4, right=True),
    Column("overall", "R", 5, right=True),
    Column("prior", "prior", 5, right=True),
    Column("infused", "infus", 5, right=True),
)
_CELL = (
    Column("n", "n", 5, right=True),
    Column("state", "state", 8),
    Column("overall", "R ± sd", 9, right=True),
    Column("prior", "prior", 9, right=True),
    Column("infused", "infused", 9, right=True),
)


def row_key(row: RunRow | CellRow) -> tuple[Any, ...]:
    """What a line is known by, whether runs or cells are shown."""
    if isinstance(row, RunRow):
        return (row.run_id,)
    return (row.model, row.frequency, row.num_tokens, row.templates)


class RunTable(LineTable):
    def __init__(self, id: str | None = None) -> None:
        super().__init__((), self._texts, row_key, look=self._row_look, id=id, empty="  no run to show")
        self.marked: set[str] = set()
        self.pinned: set[str] = set()

    def show_runs(self, rows: Sequence[RunRow] | Sequence[CellRow], *, by_cell: bool, axes: tuple[bool, bool]) -> None:
        """Show these rows; `axes`: whether the sweep has several token budgets, and several numbers of templates."""
        several_budgets, several_templates = axes
        columns = [Column("marked", " ", 1), _SIZE, _DOSE]
        columns += [_BUDGET] if several_budgets else []
        columns += [_TEMPLATES] if several_templates else []
        self.show(rows, columns=[*columns, *(_CELL if by_cell else _RUN)])

    @property
    def sortable(self) -> list[str]:
        return [c.key for c in self.columns if c.key != "marked"]

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
        here = set(self.current_runs)
        among.symmetric_difference_update(here - among if here - among else here)
        self.redraw()

    def _row_look(self, row: RunRow | CellRow) -> str:
        if row.state in _TROUBLE:
            return "alert"
        return "pinned" if self.pinned.intersection(run_ids(row)) else ""

    def _texts(self, row: RunRow | CellRow) -> list[str]:
        ids = run_ids(row)
        sign = "●" if self.marked.issuperset(ids) else "◐" if self.marked.intersection(ids) else ""
        texts = {
            "marked": sign or ("▸" if self.pinned.intersection(ids) else ""),
            "params": row.model,
            "frequency": f"{row.frequency:,}",
            "num_tokens": format_count(row.num_tokens),
            "templates": str(row.templates),
            "state": _state(row.state),
        }
        if isinstance(row, RunRow):
            percent = "" if row.progress is None or row.state != "running" else f"{100 * row.progress:.0f}"
            texts |= {"seed": str(row.seed), "progress": percent}
            texts |= {s: _score(getattr(row, s)) for s in ("overall", "prior", "infused")}
        else:
            texts["n"] = f"{row.n}/{row.n + row.missing}" if row.missing else str(row.n)
            texts["overall"] = _mean(row.overall, row.overall_sd)
            texts["prior"] = _mean(row.prior, row.prior_sd)
            texts["infused"] = _mean(row.infused, row.infused_sd)
        return [texts[c.key] for c in self.columns]


def run_ids(row: RunRow | CellRow | None) -> list[str]:
    if row is None:
        return []
    return [row.run_id] if isinstance(row, RunRow) else list(row.run_ids)


def _state(state: str) -> str:
    """The sign and the word; of a cell whose runs differ, the signs with how many: ✓24 ▶1."""
    if state in SIGNS:
        return SIGNS[state]
    parts = (part.split(" ") for part in state.split(", "))
    return " ".join(f"{SIGNS[name][0]}{count}" for count, name in parts)


def _score(value: float | None) -> str:
    return "" if value is None else retention(value)


def _mean(mean: float | None, sd: float | None) -> str:
    return _score(mean) if sd is None else f"{retention(mean)} ±{retention(sd)}"
