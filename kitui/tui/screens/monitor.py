"""The runs of one sweep: the table, retention over frequency and over tokens, live, and what the run at hand says."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from engine.control.status import OPEN
from engine.errors import SpecError
from engine.spec.numbers import format_count
from kitui.services.filters import parse_filter
from kitui.services.format import counted
from kitui.services.rows import CELL_COLUMNS, RUN_COLUMNS, Cells, RunRow, sorted_rows
from kitui.tui.bindings import bindings
from kitui.tui.live.reader import Snapshot
from kitui.tui.plot.series import MAX_CURVES, SETS, frequency_limits, learning_series, retention_series, token_limits
from kitui.tui.plot.widget import CurvePlot
from kitui.tui.screens.base import KituiScreen
from kitui.tui.screens.confirm import Confirm
from kitui.tui.widgets.filter_bar import FilterBar
from kitui.tui.widgets.line_table import LineTable
from kitui.tui.widgets.pane import PANES, Pane
from kitui.tui.widgets.run_table import RunTable, run_ids

# Plot and log follow the cursor when it rests: a held key sends lines of the table, not a plot for each.
_REST_S = 0.12


class MonitorScreen(KituiScreen):
    NAME = "monitor"
    BINDINGS: ClassVar[list[BindingType]] = bindings("monitor")

    def __init__(self) -> None:
        super().__init__()
        self._fact_set = "overall"
        self._by_cell = False
        self._sort: tuple[str, bool] | None = None  # column, descending
        self._filter = ""
        self._sweep: str | None = None
        self._is_new = True  # of this sweep nothing has been shown yet
        self._arranged: tuple[object, object] = (None, None)
        self._cells = Cells()

    def compose_body(self) -> ComposeResult:
        with Vertical(id="run-list"):
            yield FilterBar()
            yield RunTable(id="runs")
        yield CurvePlot("Retention over infusion frequency", log_x=True, id="retention-plot")
        yield CurvePlot("Learning curves", id="learning-plot")
        yield Pane(id="pane")

    def on_mount(self) -> None:
        self.query_one(RunTable).focus()

    # What is shown

    def show_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.sweep != self._sweep:
            self._sweep, self._is_new = snapshot.sweep, True
            table = self.query_one(RunTable)
            table.marked.clear()
            table.pinned.clear()
        if self._is_new and snapshot.rows:
            self._is_new = False
            self._by_cell = len({row.seed for row in snapshot.rows}) > 1 and len(snapshot.rows) > 200
            self._arranged = (None, None)
        self._arrange(snapshot)
        self._show_curves()

    def _arrange(self, snapshot: Snapshot) -> None:
        """Filter, group and sort the runs, and show them."""
        table = self.query_one(RunTable)
        how = (self._filter, self._by_cell, self._sort, frozenset(table.pinned))
        if snapshot.rows is self._arranged[0] and how == self._arranged[1]:
            return
        self._arranged = (snapshot.rows, how)
        runs: list[RunRow] = snapshot.rows
        if self._filter:
            keep = parse_filter(self._filter, RUN_COLUMNS)
            runs = [row for row in runs if keep(row)]
        rows: list[Any] = list(self._cells.of(runs)) if self._by_cell else runs
        if self._sort is not None:
            column, descending = self._sort
            rows = sorted_rows(rows, f"{'-' * descending}{column}", [column])
        if table.pinned:
            rows = sorted(rows, key=lambda row: not table.pinned.intersection(run_ids(row)))
        budgets = {row.num_tokens for row in snapshot.rows[:2000]}
        templates = {row.templates for row in snapshot.rows[:2000]}
        table.sorted_by = self._sort
        table.show_runs(rows, by_cell=self._by_cell, axes=(len(budgets) > 1, len(templates) > 1))
        self.query_one(FilterBar).count(len(runs), len(snapshot.rows))

    def _show_curves(self) -> None:
        snapshot = self.kitui.snapshot
        if snapshot is None or not self.is_current:
            return
        table = self.query_one(RunTable)
        followed = [*sorted(table.pinned), *sorted(table.marked), *table.current_runs]
        self.kitui.want_runs(frozenset(followed[: MAX_CURVES * 25] + table.current_runs))
        if self._fact_set != "loss":
            self.query_one("#retention-plot", CurvePlot).show(
                retention_series(snapshot, self._fact_set),
                title=f"R over F, {self._fact_set}, all runs: mean ± sd; ○ in training",
                view=(snapshot.sweep, self._fact_set),
                x_limits=frequency_limits(snapshot),
                y_limits=(-0.1, 1.05),
                empty="no finished run yet",
            )
        groups = self._groups(followed)
        name = "loss" if self._fact_set == "loss" else "R"
        self.query_one("#learning-plot", CurvePlot).show(
            learning_series(snapshot, groups, self._fact_set),
            title=f"{name} over tokens{', ' + self._fact_set if name == 'R' else ''}: {_named(table.current)}",
            view=(snapshot.sweep, self._fact_set, "learning"),
            x_limits=token_limits(snapshot),
            y_limits=None if self._fact_set == "loss" else (-0.1, 1.05),
            empty="no learning curves: not trained here" if _foreign(snapshot) else "not scored yet",
        )
        self.query_one(Pane).show(snapshot, table.current_runs[:1])

    def _groups(self, followed: list[str]) -> list[tuple[str, ...]]:
        """The runs to draw, one curve a group: a cell's seeds together where cells are shown."""
        if not self._by_cell:
            return [(run_id,) for run_id in dict.fromkeys(followed)]
        wanted = set(followed)
        rows = self.query_one(RunTable).rows
        return [tuple(row.run_ids) for row in rows if wanted.intersection(row.run_ids)]

    @on(LineTable.Moved)
    def _moved(self) -> None:
        self.rested(_REST_S, self._show_curves)

    @on(LineTable.HeaderClicked)
    def _header(self, event: LineTable.HeaderClicked) -> None:
        if event.column not in self.query_one(RunTable).sortable:
            return
        descending = self._sort is not None and self._sort == (event.column, False)
        self._sort_by((event.column, descending))

    @on(LineTable.Opened)
    def _opened(self) -> None:
        self.action_open_log()

    @on(FilterBar.Changed)
    def _filtered(self, event: FilterBar.Changed) -> None:
        """Apply the filter as it is typed; one that is not finished leaves the table as it is."""
        bar = self.query_one(FilterBar)
        try:
            if event.expression:
                parse_filter(event.expression, RUN_COLUMNS)
        except SpecError as error:
            bar.complain(f"{error.what} {error.mend}")
            return
        bar.complain("")
        self._filter = event.expression
        self._rearrange()

    @on(FilterBar.Left)
    def _left_filter(self) -> None:
        self.query_one(RunTable).focus()

    def _rearrange(self) -> None:
        if self.kitui.snapshot is not None:
            self._arrange(self.kitui.snapshot)
            self._moved()

    # Actions

    def action_filter(self) -> None:
        self.query_one(FilterBar).open()

    def action_group(self) -> None:
        self._by_cell = not self._by_cell
        if self._sort is not None and self._sort[0] not in (CELL_COLUMNS if self._by_cell else RUN_COLUMNS):
            self._sort = None
        self._rearrange()

    def action_sort(self, by: int) -> None:
        columns = [None, *self.query_one(RunTable).sortable]
        now = columns.index(self._sort[0]) if self._sort and self._sort[0] in columns else 0
        column = columns[(now + by) % len(columns)]
        self._sort_by(None if column is None else (column, column in ("overall", "prior", "infused", "progress")))

    def action_invert_sort(self) -> None:
        if self._sort is not None:
            self._sort_by((self._sort[0], not self._sort[1]))

    def _sort_by(self, sort: tuple[str, bool] | None) -> None:
        self._sort = sort
        self._rearrange()

    def action_mark(self) -> None:
        table = self.query_one(RunTable)
        table.toggle_mark()
        table.action_move(1)
        self._moved()

    def action_mark_all(self) -> None:
        table = self.query_one(RunTable)
        shown = {run_id for row in table.rows for run_id in run_ids(row)}
        table.marked = set() if shown <= table.marked else table.marked | shown
        table.redraw()
        self._moved()

    def action_pin(self) -> None:
        self.query_one(RunTable).toggle_pin()
        self._rearrange()

    def action_unmark_all(self) -> None:
        table = self.query_one(RunTable)
        if table.marked:
            table.marked.clear()
            table.redraw()
        else:
            self.query_one(FilterBar).clear()
        table.focus()
        self._moved()

    def action_next_set(self) -> None:
        self._fact_set = SETS[(SETS.index(self._fact_set) + 1) % len(SETS)]
        self._show_curves()

    def action_next_plot(self) -> None:
        self.toggle_class("-learning")

    def action_next_pane(self) -> None:
        pane = self.query_one(Pane)
        pane.kind = PANES[(PANES.index(pane.kind) + 1) % len(PANES)]
        self.kitui.watch_slots(pane.kind == "slots")
        self._show_curves()

    def action_open_log(self) -> None:
        runs = self.query_one(RunTable).current_runs
        if runs:
            from kitui.tui.screens.log import LogScreen

            self.app.push_screen(LogScreen(self.kitui.workspace.run(runs[0])))

    def action_cancel(self) -> None:
        self._ask("cancel", "A running one ends after a checkpoint.")

    def action_pause(self) -> None:
        self._ask("pause", "A running one ends after a checkpoint, and goes on from there when resumed.")

    def action_retry(self) -> None:
        self._do("retry")

    def action_resume(self) -> None:
        self._do("resume")

    def copy_text(self) -> str:
        return "\n".join(self.query_one(RunTable).chosen)

    def _ask(self, command: str, words: str) -> None:
        chosen = self.query_one(RunTable).chosen
        snapshot = self.kitui.snapshot
        if not chosen or snapshot is None:
            return
        wanted = set(chosen)
        if not any(row.run_id in wanted and row.state in (*OPEN, "paused") for row in snapshot.rows):
            self.notify(f"Nothing to {command}: ended already.", timeout=3)
            return
        what = chosen[0] if len(chosen) == 1 else counted(len(chosen), "run")

        def decided(yes: bool | None) -> None:
            if yes:
                self.kitui.command(command, chosen)

        self.app.push_screen(Confirm(f"{command.capitalize()} {what}? {words}"), decided)

    def _do(self, command: str) -> None:
        chosen = self.query_one(RunTable).chosen
        if chosen:
            self.kitui.command(command, chosen)


def _foreign(snapshot: Snapshot) -> bool:
    return snapshot.plan is not None and (snapshot.plan.imported or snapshot.plan.simulated)


def _named(row: Any) -> str:
    if row is None:
        return "no run"
    words = f"{row.model} F={row.frequency:,}"
    words += f" seed {row.seed}" if isinstance(row, RunRow) else f", {counted(len(row.run_ids), 'seed')}"
    return f"{words}, D={format_count(row.num_tokens)}"
