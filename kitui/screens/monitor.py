"""The runs of one sweep: the table, retention over frequency and over tokens, live, and the log of the run at hand."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable, Log

from engine.spec.axes import format_count
from kitui.actions import bindings
from kitui.console import printable
from kitui.plots import frequency_limits, learning_series, retention_series, token_limits
from kitui.reporting import FACT_SETS
from kitui.screens.base import KituiScreen
from kitui.screens.confirm import Confirm
from kitui.snapshot import Snapshot
from kitui.widgets.curve_plot import CurvePlot
from kitui.widgets.run_table import ORDERS, RunTable


class MonitorScreen(KituiScreen):
    NAME = "monitor"
    BINDINGS: ClassVar[list[BindingType]] = bindings("monitor")

    def __init__(self) -> None:
        super().__init__()
        self._fact_set = "overall"
        self._order = "grid"
        self._logged: tuple[str | None, tuple[str, ...]] = (None, ())

    def compose_body(self) -> ComposeResult:
        yield RunTable(id="runs")
        yield CurvePlot("Retention over infusion frequency", log_x=True, id="retention-plot")
        yield CurvePlot("Learning curves", id="learning-plot")
        yield Log(id="log", max_lines=500, highlight=False)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        table = self.query_one(RunTable)
        table.show(snapshot.rows, snapshot.curves, self._order)
        self._show_curves(snapshot)

    def _show_curves(self, snapshot: Snapshot) -> None:
        table = self.query_one(RunTable)
        self.kitui.want_runs(frozenset(table.chosen) | ({table.current} if table.current else set()))
        self.query_one("#retention-plot", CurvePlot).show(
            retention_series(snapshot, self._fact_set),
            title=f"R over F, {self._fact_set} (mean of seeds; ○ still training)",
            view=(snapshot.sweep, self._fact_set),
            x_limits=frequency_limits(snapshot),
            y_limits=(-0.1, 1.05),
            empty="no finished run yet",
        )
        chosen = dict.fromkeys([*table.chosen, *([table.current] if table.current else [])])
        self.query_one("#learning-plot", CurvePlot).show(
            learning_series(snapshot, list(chosen), self._fact_set),
            title=f"R over tokens, {self._fact_set}: {_named(snapshot, table.current)}",
            view=(snapshot.sweep, self._fact_set, "learning"),
            x_limits=token_limits(snapshot),
            y_limits=(-0.1, 1.05),
            empty="not scored yet",
        )
        self._show_log(snapshot, table.current)

    def _show_log(self, snapshot: Snapshot, run_id: str | None) -> None:
        curve = snapshot.curves.get(run_id or "")
        lines = curve.log if curve else ()
        if (run_id, lines) == self._logged:
            return
        log = self.query_one(Log)
        same = self._logged[0] == run_id and lines[: len(self._logged[1]) - 1] == self._logged[1][:-1]
        if not same:
            log.clear()
        # The last line is the newest step, and is replaced by the next one: write it only where nothing follows.
        fresh = lines[max(0, len(self._logged[1]) - 1) :] if same else lines
        log.write_lines([printable(line)[:300] for line in fresh])
        self._logged = (run_id, lines)

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        if self.kitui.snapshot is not None and self.is_current:
            self._show_curves(self.kitui.snapshot)

    def action_mark(self) -> None:
        self.query_one(RunTable).toggle_mark()
        self._moved()

    def action_unmark_all(self) -> None:
        self.query_one(RunTable).unmark_all()
        self._moved()

    def action_next_plot(self) -> None:
        self.toggle_class("-learning")

    def action_next_set(self) -> None:
        self._fact_set = FACT_SETS[(FACT_SETS.index(self._fact_set) + 1) % len(FACT_SETS)]
        self._moved()

    def action_sort(self) -> None:
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self.notify(f"ordered by {self._order}", timeout=2)
        if self.kitui.snapshot is not None:
            self.show_snapshot(self.kitui.snapshot)

    def action_cancel(self) -> None:
        chosen = self.query_one(RunTable).chosen
        if not chosen:
            return

        def decided(yes: bool | None) -> None:
            if yes:
                self.kitui.command("cancel", chosen)

        what = chosen[0] if len(chosen) == 1 else f"{len(chosen)} runs"
        self.app.push_screen(Confirm(f"Cancel {what}? A running one ends after a checkpoint."), decided)

    def action_retry(self) -> None:
        chosen = self.query_one(RunTable).chosen
        if chosen:
            self.kitui.command("retry", chosen)


def _named(snapshot: Snapshot, run_id: str | None) -> str:
    row: dict[str, Any] | None = next((r for r in snapshot.rows if r["run_id"] == run_id), None)
    if row is None:
        return "no run"
    return f"{row['model']} F={row['frequency']:,} seed {row['seed']}, D={format_count(row['num_tokens'])}"
