"""The first screen: all sweeps, how far they are, and what wants attention."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable, Static

from kitui.actions import bindings
from kitui.console import printable
from kitui.format import duration
from kitui.reporting import law_lines
from kitui.screens.base import KituiScreen
from kitui.screens.confirm import Confirm
from kitui.snapshot import Snapshot

_COLUMNS = (("sweep", 22), ("progress", 12), ("done", 9), ("running", 7), ("queued", 7), ("failed", 6), ("ETA", 10))
_WELCOME = """No sweeps yet.

  kitui demo                 a small sweep on this machine, 8 minutes
  kitui init sweep.toml      a sweep file to start from
  kitui launch sweep.toml    train it; it shows up here"""


class SweepsScreen(KituiScreen):
    NAME = "sweeps"
    BINDINGS: ClassVar[list[BindingType]] = bindings("sweeps")

    def compose_body(self) -> ComposeResult:
        yield DataTable(id="sweeps", cursor_type="row", zebra_stripes=True, cell_padding=0)
        yield Static("", id="sweep-detail", markup=False)

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for label, width in _COLUMNS:
            table.add_column(label, key=label, width=width + 1)
        self._cells: dict[str, tuple[str, ...]] = {}

    def show_snapshot(self, snapshot: Snapshot) -> None:
        table = self.query_one(DataTable)
        cells = {row["name"]: _cells(row) for row in snapshot.status["sweeps"]}
        if list(cells) != list(self._cells):
            at = self._current()
            table.clear()
            for name, values in cells.items():
                table.add_row(*values, key=name)
            if (at or snapshot.sweep) in cells:
                table.move_cursor(row=list(cells).index(at or snapshot.sweep), animate=False)
        else:
            for name, values in cells.items():
                for (label, _), value, before in zip(_COLUMNS, values, self._cells[name], strict=True):
                    if value != before:
                        table.update_cell(name, label, value)
        self._cells = cells
        self._show_detail(snapshot)

    def _show_detail(self, snapshot: Snapshot) -> None:
        name = self._current()
        row = next((r for r in snapshot.status["sweeps"] if r["name"] == name), None)
        if row is None:
            self.query_one("#sweep-detail", Static).update(_WELCOME)
            return
        lines = [f"! {printable(alert)}" for alert in row["alerts"][:8]]
        if len(row["alerts"]) > 8:
            lines.append(f"! and {len(row['alerts']) - 8} more")
        if name == snapshot.sweep and snapshot.law is not None:
            law = snapshot.law["law"]
            found = [p for p in law["collapse_points"] if p["status"] == "observed"]
            lines.append(f"{len(found)} of {len(law['collapse_points'])} collapse points observed")
            lines.extend(law_lines(law))
        self.query_one("#sweep-detail", Static).update("\n".join(lines))

    def _current(self) -> str | None:
        table = self.query_one(DataTable)
        names = list(self._cells)
        return names[table.cursor_row] if 0 <= table.cursor_row < len(names) else None

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        name = self._current()
        if name is not None and self.is_current:
            self.kitui.choose_sweep(name)
        if self.kitui.snapshot is not None:
            self._show_detail(self.kitui.snapshot)

    @on(DataTable.RowSelected)
    def action_open_sweep(self) -> None:
        if self._current() is not None:
            self.kitui.action_show_mode("monitor")

    def action_cancel(self) -> None:
        name = self._current()
        if name is None:
            return

        def decided(yes: bool | None) -> None:
            if yes:
                self.kitui.command("cancel", [name])

        self.app.push_screen(Confirm(f"Cancel {name}? Running runs end after a checkpoint."), decided)

    def action_retry(self) -> None:
        name = self._current()
        if name is not None:
            self.kitui.command("retry", [name])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    open_cells = row["running"] + row["queued"] + row["preparing"]
    ended = row["cells"] - open_cells
    filled = round(12 * ended / max(1, row["cells"]))
    failed = row["failed"] + row["diverged"] + row["lost"]
    name = printable(row["name"]) + (" (sim.)" if row["simulated"] else "")
    return (
        name,
        "█" * filled + "░" * (12 - filled),
        f"{row['done']}/{row['cells']}",
        str(row["running"] or ""),
        str(row["queued"] + row["preparing"] or ""),
        f"! {failed}" if failed else "",
        duration(row["eta_s"]) if row["eta_s"] is not None else "",
    )
