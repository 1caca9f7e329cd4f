"""The first screen: all sweeps, how far they are, what wants attention, and what changed since one last looked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.errors import KituiError
from engine.records.states import RunStatus
from engine.records.status import SweepStatus
from kitui.services.deleting import deletion_words
from kitui.services.format import counted, duration, short_path
from kitui.services.hosts import host_line
from kitui.services.orders import VERBS, question, verbs_of
from kitui.services.report import OUTDATED, law_lines
from kitui.services.sweep_list import SORTS, sweep_columns, sweep_list
from kitui.services.text import printable
from kitui.services.windows import usable_window
from kitui.tui.bindings import bindings
from kitui.tui.live.snapshot import Snapshot
from kitui.tui.screens.base import KituiScreen
from kitui.tui.screens.confirm import Confirm
from kitui.tui.widgets.filter_bar import FilterBar
from kitui.tui.widgets.line_table import Column, LineTable

if TYPE_CHECKING:
    from kitui.tui.plot.widget import CurvePlot

_MARK = Column("marked", " ", 1)
_NEED_A_SWEEP = (
    "open_sweep", "edit_sweep", "compare", "cancel", "retry", "pause", "resume", "archive", "delete", "search", "sort",
)  # fmt: skip
_WELCOME = """

  n                          design one here, see what it costs, launch it
  kitui demo                 a small sweep on this machine, 8 minutes
  kitui init sweep.toml      a sweep file to start from"""


class SweepsScreen(KituiScreen):
    NAME = "sweeps"
    BINDINGS: ClassVar[list[BindingType]] = bindings("sweeps")
    AUTO_FOCUS = "#sweeps"

    def __init__(self) -> None:
        super().__init__()
        self._marked: set[str] = set()
        self._with_archived = False
        self._said = ""
        self._plot: CurvePlot | None = None
        self._news: tuple[str, ...] = ()
        self._words, self._sort = "", SORTS[0]
        self._columns = sweep_columns((), 80)

    def compose_body(self) -> ComposeResult:
        yield Static("", id="news", markup=False)
        yield FilterBar("sweeps", "a part of a name")
        table = LineTable((), self._texts, lambda row: row.name, look=_look, id="sweeps", classes="pane")
        table.border_title = "Sweeps"
        yield table
        with Horizontal(id="below"), VerticalScroll(id="sweep-detail", can_focus=False, classes="pane"):
            yield Static("", id="sweep-words", markup=False)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        table = self.query_one(LineTable)
        first = not table.rows
        self._list(snapshot)
        if first and snapshot.sweep is not None:
            table.go_to(snapshot.sweep)
        news = self.query_one("#news", Static)
        news.set_class(bool(snapshot.news), "-open")
        if snapshot.news is not self._news:
            self._news = snapshot.news
            news.update("\n".join(printable(line) for line in snapshot.news))
        self._show_detail()

    def _list(self, snapshot: Snapshot) -> None:
        """The sweeps that are asked for, in columns for the room that there is."""
        everything = snapshot.status.sweeps
        rows = sweep_list(everything, words=self._words, sort=self._sort, with_archived=self._with_archived)
        table = self.query_one(LineTable)
        self._columns = sweep_columns(rows, max(self.size.width, 80) - _MARK.width - 4)
        columns = [Column(c.key, c.label, c.width, right=c.right) for c in self._columns]
        table.sorted_by = (self._sort, False) if self._sort != SORTS[0] else None
        table.show(rows, columns=[_MARK, *columns])
        self.query_one(FilterBar).count(len(rows), len(everything))

    def _list_again(self) -> None:
        if self.kitui.snapshot is not None:
            self._list(self.kitui.snapshot)
            self._show_detail()

    def on_resize(self) -> None:
        self._list_again()

    @on(FilterBar.Changed)
    def _sought(self, event: FilterBar.Changed) -> None:
        self._words = event.expression
        self._list_again()

    @on(FilterBar.Left)
    def _left_search(self) -> None:
        self.query_one(LineTable).focus()

    @on(LineTable.HeaderClicked)
    def _header(self, event: LineTable.HeaderClicked) -> None:
        if event.column in SORTS:
            self._sort = event.column
            self._list_again()

    def verbs(self) -> Mapping[str, bool]:
        row = self._row
        if row is None:
            return dict.fromkeys(_NEED_A_SWEEP, False)
        found = verbs_of([status for status in RunStatus if row.num(status)])
        return found | {
            "archive": not row.num_open,
            "delete": not row.num(RunStatus.RUNNING),
            "compare": len(self._marked) == 2,
        }

    def add_plot(self) -> None:
        """Beside the words, where there is room: the curves of the sweep at hand. Later than the rest, for the first
        paint does not wait for it."""
        from kitui.tui.plot.widget import CurvePlot

        self._plot = CurvePlot("Retention over infusion frequency", log_x=True, id="sweep-plot")
        self.query_one("#below").mount(self._plot)
        self.call_after_refresh(self._show_detail)

    def _show_detail(self) -> None:
        snapshot = self.kitui.snapshot
        if snapshot is None:
            return
        self.show_keys()
        row = self._row
        if row is None:
            self._say("No sweep has this in its name." if self._words else self._welcome())
            return
        detail = self.query_one("#sweep-detail")
        if detail.border_title != printable(row.name):
            detail.border_title = Content(printable(row.name))
        lines = [f"! {printable(alert)}" for alert in row.alerts[:5]]
        if len(row.alerts) > 5:
            lines.append(f"! and {len(row.alerts) - 5:,} more (pane b of the monitor)")
        if row.eta_s is not None:
            lines.append(_eta_words(row))
        held = (RunStatus.PAUSED, RunStatus.CANCELLED)
        lines.extend(f"{counted(row.num(status), 'run')} {status}" for status in held if row.num(status))
        if row.num_open:
            lines.extend(printable(host_line(host)) for host in snapshot.status.hosts)
        if row.name == snapshot.sweep and snapshot.analysis is not None:
            law = snapshot.analysis.law
            if snapshot.analysis_is_outdated:
                lines.append(OUTDATED)
            found = [p for p in law.collapse_points if p.status == "observed"]
            lines.append(f"{len(found)} of {len(law.collapse_points)} collapse points observed")
            lines.extend(law_lines(law))
        self._say("\n".join(lines))
        if self._plot is not None:
            self._show_curves(self._plot, snapshot, row)

    def _show_curves(self, plot: CurvePlot, snapshot: Snapshot, row: SweepStatus) -> None:
        """The retention curves of the sweep at hand; those of another are not to stand under its name."""
        there = row.name == snapshot.sweep
        from kitui.tui.plot.series import (
            FREQUENCY_NAME,
            collapse_marks,
            frequency_limits,
            looks_of,
            retention_series,
        )

        law = snapshot.analysis.law if there and snapshot.analysis is not None else None
        plot.show(
            retention_series(snapshot, "overall") if there else [],
            title=f"Retention, overall{'; ▼ F*' if law else ''}",
            view=(snapshot.sweep, "sweeps"),
            marks=collapse_marks(law, looks_of(snapshot.plan)),
            x_name=FREQUENCY_NAME,
            window=usable_window(law.collapse_points) if law else None,
            x_limits=frequency_limits(snapshot) if there else None,
            y_limits=(-0.1, 1.05),
            empty="working it out …"
            if there and snapshot.analysis is None and row.num(RunStatus.DONE)
            else "no results yet",
        )

    def _welcome(self) -> str:
        root = self.kitui.workspace.root
        where = "No sweeps yet." if root.is_dir() else f"No sweeps yet: {short_path(root)} is not there."
        return printable(where) + _WELCOME

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.query_one("#sweep-words", Static).update(text)

    @property
    def _row(self) -> SweepStatus | None:
        row: SweepStatus | None = self.query_one(LineTable).current
        return row

    @property
    def _current(self) -> str | None:
        return self._row.name if self._row is not None else None

    @on(LineTable.Moved)
    def _moved(self) -> None:
        if self._current is not None and self.is_current:
            self.kitui.choose_sweep(self._current)
        self._show_detail()

    @on(LineTable.Opened)
    def action_open_sweep(self) -> None:
        if self._current is not None:
            self.kitui.choose_sweep(self._current)
            self.kitui.go_to("monitor")

    def action_new_sweep(self) -> None:
        self._design(None)

    def action_edit_sweep(self) -> None:
        if self._current is not None:
            self._design(self._current)

    def _design(self, sweep: str | None) -> None:
        self.kitui.design(sweep)

    def action_mark(self) -> None:
        if self._current is not None:
            self._marked ^= {self._current}
            table = self.query_one(LineTable)
            table.redraw()
            table.action_move(1)
            self.show_keys()

    def action_search(self) -> None:
        self.query_one(FilterBar).open()

    def action_unmark_all(self) -> None:
        if self._marked:
            self._marked.clear()
        else:
            self.query_one(FilterBar).clear()
        table = self.query_one(LineTable)
        table.redraw()
        table.focus()
        self.show_keys()

    def action_sort(self) -> None:
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self.notify(f"sorted by {self._sort}", timeout=2)
        self._list_again()

    def action_compare(self) -> None:
        if len(self._marked) != 2:
            self.notify("Mark two sweeps with space, then compare them.", severity="warning")
            return
        self._compare(*sorted(self._marked))

    @work(thread=True, exclusive=True)
    def _compare(self, first: str, second: str) -> None:
        from kitui.services.comparison import compare, comparison_tables

        try:
            parts = comparison_tables(compare(self.kitui.workspace, first, second))
        except (KituiError, OSError) as error:
            self.kitui.tell_fault(error)
            return
        from kitui.tui.screens.page import Page

        self.app.call_from_thread(self.app.push_screen, Page(f"{first} and {second}", parts))

    def action_cancel(self) -> None:
        self._ask("cancel")

    def action_pause(self) -> None:
        self._ask("pause")

    def action_delete(self) -> None:
        if self._current is not None:
            self._weigh(self._current)

    def action_retry(self) -> None:
        self._do("retry")

    def action_resume(self) -> None:
        self._do("resume")

    def action_archive(self) -> None:
        row = self._row
        if row is not None:
            self.kitui.order("archive", [row.name], archived=not row.archived)

    def action_show_archived(self) -> None:
        self._with_archived = not self._with_archived
        if self.kitui.snapshot is not None:
            self.show_snapshot(self.kitui.snapshot)

    def figure(self) -> tuple[str, str]:
        return "curves", "overall"

    def copy_text(self) -> str:
        return self._current or ""

    def _ask(self, verb: str) -> None:
        row = self._row
        if row is None:
            return
        if VERBS[verb].needs_open and not (row.num_open or row.num(RunStatus.PAUSED)):
            self.notify(f"Nothing to {verb}: {row.name} has ended.", timeout=3, markup=False)
            return
        self._ask_about(verb, row.name, VERBS[verb].about_sweeps)

    @work(thread=True, exclusive=True, group="question")
    def _weigh(self, name: str) -> None:
        """What would go with a sweep: its files are looked at one by one."""
        try:
            words = deletion_words(self.kitui.workspace, [name])
        except (KituiError, OSError) as error:
            self.kitui.tell_fault(error)
            return
        about = f"{words}. {VERBS['delete'].about_sweeps}"
        self.app.call_from_thread(self._ask_late, name, about)

    def _ask_late(self, name: str, about: str) -> None:
        """Where nobody has gone on to something else meanwhile."""
        if self.is_current and self._current == name:
            self._ask_about("delete", name, about, is_late=True)

    def _ask_about(self, verb: str, name: str, about: str, *, is_late: bool = False) -> None:
        names = [name]

        def decided(yes: bool | None) -> None:
            if yes:
                self.kitui.order(verb, names)

        self.app.push_screen(Confirm(question(verb, names, about), is_late=is_late), decided)

    def _do(self, verb: str) -> None:
        if self._current is not None:
            self.kitui.order(verb, [self._current])

    def _texts(self, row: SweepStatus) -> list[str]:
        return ["●" if row.name in self._marked else "", *(column.text(row) for column in self._columns)]


def _look(row: SweepStatus) -> str:
    return "alert" if row.num_in_trouble else ""


def _eta_words(row: SweepStatus) -> str:
    words = f"ETA {duration(row.eta_s)}"
    spread = row.eta_spread_s
    return words + (f", between {duration(spread[0])} and {duration(spread[1])}" if spread else "")
