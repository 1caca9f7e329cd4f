"""The runs of one sweep: the table, retention over frequency and over tokens, live, and what the run at hand says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from engine.errors import KituiError, SpecError
from engine.records.states import RunStatus
from engine.spec.numbers import format_count
from kitui.services.columns import CELL_VALUES, RUN_VALUES
from kitui.services.format import counted
from kitui.services.orders import VERBS, question, verbs_of
from kitui.services.rows import Cells, Row, RunRow
from kitui.services.runs import arranged, complete_filter, run_filter
from kitui.tui.bindings import bindings
from kitui.tui.live.snapshot import Snapshot
from kitui.tui.plot.series import (
    FREQUENCY_NAME,
    LOSS,
    MAX_CURVES,
    SHOWN,
    frequency_limits,
    learning_series,
    retention_series,
    token_limits,
)
from kitui.tui.plot.widget import CurvePlot
from kitui.tui.screens.base import KituiScreen
from kitui.tui.screens.confirm import Confirm
from kitui.tui.screens.page import Page
from kitui.tui.widgets.filter_bar import FilterBar
from kitui.tui.widgets.line_table import LineTable
from kitui.tui.widgets.pane import PANES, Pane
from kitui.tui.widgets.run_table import RunTable, run_ids

# Plot and log follow the cursor when it rests: a held key sends lines of the table, not a plot for each.
_REST_S = 0.12
_MOST_COMPARED = 4


class MonitorScreen(KituiScreen):
    NAME = "monitor"
    BINDINGS: ClassVar[list[BindingType]] = bindings("monitor")
    AUTO_FOCUS = "#runs"

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
        with Vertical(id="run-list", classes="pane"):
            yield FilterBar("runs", "params>1M and frequency>=64 and state=running", complete_filter)
            yield RunTable(id="runs")
        yield CurvePlot("Retention over infusion frequency", log_x=True, id="retention-plot")
        yield CurvePlot("Learning curves", id="learning-plot")
        yield Pane(id="pane")

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
        sort = f"{'-' * self._sort[1]}{self._sort[0]}" if self._sort is not None else None
        rows = arranged(snapshot.rows, self._filter, sort, by_seed=not self._by_cell, cells=self._cells)
        if table.pinned:
            rows.sort(key=lambda row: not table.pinned.intersection(run_ids(row)))
        table.sorted_by = self._sort
        among = self._cells.of(snapshot.rows[:2000]) if self._by_cell else snapshot.rows[:2000]
        table.show_runs(rows, by_cell=self._by_cell, among=among)
        self._name_list(len(rows), len(snapshot.rows))
        self.query_one(FilterBar).count(sum(len(row.run_ids) for row in rows), len(snapshot.rows))

    def _name_list(self, num_rows: int, num_runs: int) -> None:
        """What the table has, in its border."""
        what = f"Cells ({num_rows:,})" if self._by_cell else f"Runs ({num_rows:,} of {num_runs:,})"
        order = f", by {'-' * self._sort[1]}{self._sort[0]}" if self._sort is not None else ""
        box = self.query_one("#run-list")
        if box.border_title != f"{what}{order}":  # a border that is set is drawn, with all that is in it
            box.border_title = f"{what}{order}"

    def _show_curves(self) -> None:
        snapshot = self.kitui.snapshot
        if snapshot is None or not self.is_current:
            return
        table = self.query_one(RunTable)
        followed = [*sorted(table.pinned), *sorted(table.marked), *table.current_runs]
        self.kitui.want_runs(frozenset(followed[: MAX_CURVES * 25] + table.current_runs))
        if self._fact_set != LOSS:
            self.query_one("#retention-plot", CurvePlot).show(
                retention_series(snapshot, self._fact_set),
                title=f"Retention, {self._fact_set}, all runs: mean ± sd; ○ in training",
                x_name=FREQUENCY_NAME,
                view=(snapshot.sweep, self._fact_set),
                x_limits=frequency_limits(snapshot),
                y_limits=(-0.1, 1.05),
                empty="no finished run yet",
            )
        groups = self._groups(followed)
        name = "Loss" if self._fact_set == LOSS else "Retention"
        self.query_one("#learning-plot", CurvePlot).show(
            learning_series(snapshot, groups, self._fact_set),
            title=f"{name}{', ' + self._fact_set if name == 'Retention' else ''}: {_named(table.current)}",
            x_name="tokens read",
            view=(snapshot.sweep, self._fact_set, "learning"),
            x_limits=token_limits(snapshot),
            y_limits=None if self._fact_set == LOSS else (-0.1, 1.05),
            empty="no learning curves: not trained here" if _foreign(snapshot) else "not scored yet",
        )
        self.query_one(Pane).show(snapshot, table.current_runs[:1])
        self.show_keys()

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
        self.action_open_run()

    @on(FilterBar.Changed)
    def _filtered(self, event: FilterBar.Changed) -> None:
        """Apply the filter as it is typed; one that is not finished leaves the table as it is."""
        bar = self.query_one(FilterBar)
        if complete_filter(event.expression) is not None:  # the name of a column, half typed, and no run's name
            return
        try:
            if event.expression:
                run_filter(event.expression)
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

    def verbs(self) -> Mapping[str, bool]:
        snapshot = self.kitui.snapshot
        if snapshot is None:
            return {}
        chosen = set(self.query_one(RunTable).chosen)
        held = {row.status for row in snapshot.rows if row.run_id in chosen}
        return verbs_of(held)

    def show_only(self, expression: str) -> None:
        """Filter by this, as if it had been typed."""
        self.query_one(FilterBar).put(expression)
        self.query_one(RunTable).focus()

    # Actions

    def action_filter(self) -> None:
        self.query_one(FilterBar).open()

    def action_group(self) -> None:
        self._by_cell = not self._by_cell
        if self._sort is not None and self._sort[0] not in (CELL_VALUES if self._by_cell else RUN_VALUES):
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
        self._fact_set = SHOWN[(SHOWN.index(self._fact_set) + 1) % len(SHOWN)]
        self._show_curves()

    def action_next_plot(self) -> None:
        self.toggle_class("-learning")

    def action_next_pane(self) -> None:
        pane = self.query_one(Pane)
        pane.kind = PANES[(PANES.index(pane.kind) + 1) % len(PANES)]
        self.kitui.watch_slots(pane.kind == "slots")
        self._show_curves()

    def action_open_run(self) -> None:
        snapshot = self.kitui.snapshot
        if snapshot is not None and _foreign(snapshot):
            self.notify("Not trained here: the table has all that is known of it.", timeout=3)
            return
        table = self.query_one(RunTable)
        chosen = table.chosen if len(table.chosen) > 1 else table.current_runs
        if chosen:
            self._open_run(chosen[:_MOST_COMPARED])

    @work(thread=True, exclusive=True, group="run")
    def _open_run(self, run_ids: list[str]) -> None:
        """A cell's runs, or the marked ones, side by side; one alone with all that is known of it."""
        from kitui.services.run_page import differing_table, run_document, run_parts

        try:
            documents = [run_document(self.kitui.workspace, run_id) for run_id in run_ids]
        except (KituiError, OSError) as error:
            self.kitui.tell_fault(error)
            return
        parts = run_parts(documents[0]) if len(documents) == 1 else [differing_table(documents)]
        title = run_ids[0] if len(run_ids) == 1 else counted(len(run_ids), "run")
        self.app.call_from_thread(self.app.push_screen, Page(title, parts))

    def action_open_log(self) -> None:
        runs = self.query_one(RunTable).current_runs
        if runs:
            from kitui.tui.screens.log import LogScreen

            self.app.push_screen(LogScreen(self.kitui.workspace.run(runs[0])))

    def action_cancel(self) -> None:
        self._ask("cancel")

    def action_pause(self) -> None:
        self._ask("pause")

    def action_retry(self) -> None:
        self._do("retry")

    def action_resume(self) -> None:
        self._do("resume")

    def figure(self) -> tuple[str, str] | None:
        return None if self._fact_set == LOSS else ("curves", self._fact_set)

    def copy_text(self) -> str:
        return "\n".join(self.query_one(RunTable).chosen)

    def _ask(self, verb: str) -> None:
        chosen = self.query_one(RunTable).chosen
        snapshot = self.kitui.snapshot
        if not chosen or snapshot is None:
            return
        wanted = set(chosen)
        held = (row.status for row in snapshot.rows if row.run_id in wanted)
        if not any(status.is_open or status is RunStatus.PAUSED for status in held):
            self.notify(f"Nothing to {verb}: ended already.", timeout=3)
            return

        def decided(yes: bool | None) -> None:
            if yes:
                self.kitui.order(verb, chosen)

        self.app.push_screen(Confirm(question(verb, chosen, VERBS[verb].about_runs)), decided)

    def _do(self, verb: str) -> None:
        chosen = self.query_one(RunTable).chosen
        if chosen:
            self.kitui.order(verb, chosen)


def _foreign(snapshot: Snapshot) -> bool:
    return snapshot.plan is not None and snapshot.plan.is_foreign


def _named(row: Row | None) -> str:
    if row is None:
        return "no run"
    words = f"{row.model} F={row.frequency:,}"
    words += f" seed {row.seed}" if isinstance(row, RunRow) else f", {counted(len(row.run_ids), 'seed')}"
    return f"{words}, D={format_count(row.num_tokens)}"
