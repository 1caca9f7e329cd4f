"""The first screen: all sweeps, how far they are, what wants attention, and what changed since one last looked."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from engine.control.status import OPEN
from engine.errors import KituiError
from kitui.services.format import counted, duration
from kitui.services.report import law_lines
from kitui.services.text import printable
from kitui.tui.bindings import bindings
from kitui.tui.live.reader import Snapshot
from kitui.tui.screens.base import KituiScreen
from kitui.tui.screens.confirm import Confirm
from kitui.tui.widgets.line_table import Column, LineTable
from kitui.tui.widgets.pane import host_line

_COLUMNS = (
    Column("marked", " ", 1),
    Column("name", "sweep", 20),
    Column("progress", "progress", 10),
    Column("done", "done", 13, right=True),
    Column("running", "run", 4, right=True),
    Column("waiting", "wait", 6, right=True),
    Column("failed", "fail", 5, right=True),
    Column("eta", "ETA", 10, right=True),
)
_WELCOME = """No sweeps yet.

  n                          design one here, see what it costs, launch it
  kitui demo                 a small sweep on this machine, 8 minutes
  kitui init sweep.toml      a sweep file to start from"""


class SweepsScreen(KituiScreen):
    NAME = "sweeps"
    BINDINGS: ClassVar[list[BindingType]] = bindings("sweeps")

    def __init__(self) -> None:
        super().__init__()
        self._marked: set[str] = set()
        self._with_archived = False
        self._said = ""
        self._digest: tuple[str, ...] = ()

    def compose_body(self) -> ComposeResult:
        yield Static("", id="digest", markup=False)
        yield LineTable(_COLUMNS, self._texts, lambda row: row["name"], look=_look, id="sweeps")
        with Horizontal(id="below"), VerticalScroll(id="sweep-detail", can_focus=False):
            yield Static("", id="sweep-words", markup=False)

    def on_mount(self) -> None:
        self.query_one(LineTable).focus()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        rows = [r for r in snapshot.status["sweeps"] if self._with_archived or not r["archived"]]
        table = self.query_one(LineTable)
        first = not table.rows
        table.show(rows)
        if first and snapshot.sweep is not None:
            table.go_to(snapshot.sweep)
        digest = self.query_one("#digest", Static)
        digest.set_class(bool(snapshot.digest), "-open")
        if snapshot.digest is not self._digest:
            self._digest = snapshot.digest
            digest.update("\n".join(printable(line) for line in snapshot.digest))
        self._show_detail()

    def add_plot(self) -> None:
        """Beside the words, where there is room: the curves of the sweep at hand. Later than the rest, for the first
        paint does not wait for it."""
        from kitui.tui.plot.widget import CurvePlot

        self.query_one("#below").mount(CurvePlot("Retention over infusion frequency", log_x=True, id="sweep-plot"))
        self.call_after_refresh(self._show_detail)

    def _show_detail(self) -> None:
        snapshot = self.kitui.snapshot
        if snapshot is None:
            return
        row = self.query_one(LineTable).current
        if row is None:
            self._say(_WELCOME)
            return
        lines = [f"! {printable(alert)}" for alert in row["alerts"][:5]]
        if len(row["alerts"]) > 5:
            lines.append(f"! and {len(row['alerts']) - 5:,} more (pane b of the monitor)")
        if row["eta_s"] is not None:
            lines.append(_eta_words(row))
        if row["cancelled"]:
            lines.append(f"{counted(row['cancelled'], 'run')} cancelled")
        if any(row[state] for state in OPEN):
            lines.extend(printable(host_line(host)) for host in snapshot.status["hosts"])
        if row["name"] == snapshot.sweep and snapshot.law is not None:
            law = snapshot.law["law"]
            found = [p for p in law["collapse_points"] if p["status"] == "observed"]
            lines.append(f"{len(found)} of {len(law['collapse_points'])} collapse points observed")
            lines.extend(law_lines(law))
        self._say("\n".join(lines))
        for plot in self.query("#sweep-plot"):
            self._show_curves(plot, snapshot, there=row["name"] == snapshot.sweep)

    def _show_curves(self, plot: Any, snapshot: Snapshot, there: bool) -> None:
        """The retention curves of the sweep at hand; those of another are not to stand under its name."""
        from kitui.tui.plot.series import collapse_marks, frequency_limits, retention_series

        plot.show(
            retention_series(snapshot, "overall") if there else [],
            title=f"R over F{'; dashed: F*' if there and snapshot.law else ''}",
            view=(snapshot.sweep, "sweeps"),
            marks=collapse_marks(snapshot.law["law"]) if there and snapshot.law else (),
            x_limits=frequency_limits(snapshot) if there else None,
            y_limits=(-0.1, 1.05),
            empty="no finished run yet",
        )

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.query_one("#sweep-words", Static).update(text)

    @property
    def _current(self) -> str | None:
        row = self.query_one(LineTable).current
        return row["name"] if row else None

    @on(LineTable.Moved)
    def _moved(self) -> None:
        if self._current is not None and self.is_current:
            self.kitui.choose_sweep(self._current)
        self._show_detail()

    @on(LineTable.Opened)
    def action_open_sweep(self) -> None:
        if self._current is not None:
            self.kitui.choose_sweep(self._current)
            self.kitui.action_show_mode("monitor")

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

    def action_compare(self) -> None:
        if len(self._marked) != 2:
            self.notify("Mark two sweeps with space, then compare them.", severity="warning")
            return
        self._compare(*sorted(self._marked))

    @work(thread=True, exclusive=True)
    def _compare(self, first: str, second: str) -> None:
        from kitui.services.comparison import compare_document, comparison_tables

        try:
            parts = comparison_tables(compare_document(self.kitui.workspace, first, second))
        except (KituiError, OSError) as error:
            self.kitui.tell_fault(error)
            return
        from kitui.tui.screens.page import Page

        self.app.call_from_thread(self.app.push_screen, Page(f"{first} and {second}", parts))

    def action_cancel(self) -> None:
        self._ask("cancel", "Running runs end after a checkpoint; what another sweep wants goes on.")

    def action_pause(self) -> None:
        self._ask("pause", "Running runs end after a checkpoint, and go on from there when resumed.")

    def action_delete(self) -> None:
        self._ask("delete", "Its results and the runs that no other sweep wants are gone for good.")

    def action_retry(self) -> None:
        self._do("retry")

    def action_resume(self) -> None:
        self._do("resume")

    def action_archive(self) -> None:
        row = self.query_one(LineTable).current
        if row is not None:
            self.kitui.command("archive", [row["name"]], archived=not row["archived"])

    def action_show_archived(self) -> None:
        self._with_archived = not self._with_archived
        if self.kitui.snapshot is not None:
            self.show_snapshot(self.kitui.snapshot)

    def copy_text(self) -> str:
        return self._current or ""

    def _ask(self, command: str, words: str) -> None:
        name, row = self._current, self.query_one(LineTable).current
        if name is None or row is None:
            return
        if command != "delete" and not any(row[state] for state in (*OPEN, "paused")):
            self.notify(f"Nothing to {command}: {name} has ended.", timeout=3, markup=False)
            return

        def decided(yes: bool | None) -> None:
            if yes:
                self.kitui.command(command, [name])

        self.app.push_screen(Confirm(f"{command.capitalize()} {name}? {words}"), decided)

    def _do(self, command: str) -> None:
        if self._current is not None:
            self.kitui.command(command, [self._current])

    def _texts(self, row: dict[str, Any]) -> list[str]:
        open_cells = sum(row[state] for state in OPEN)
        ended = row["cells"] - open_cells - row["paused"]
        filled = 10 * ended // max(1, row["cells"])
        failed = row["failed"] + row["diverged"] + row["lost"]
        label = " (sim.)" if row["simulated"] else " (arch.)" if row["archived"] else ""
        eta = duration(row["eta_s"]) if row["eta_s"] is not None else "paused" if row["paused"] else ""
        return [
            "●" if row["name"] in self._marked else "",
            printable(row["name"])[: 20 - len(label)] + label,
            "█" * filled + "░" * (10 - filled),
            f"{row['done']:,}/{row['cells']:,}",
            f"{row['running'] or ''}{'?' if row['unreachable'] else ''}",
            str(row["queued"] + row["preparing"] or ""),
            f"! {failed}" if failed else "",
            eta,
        ]


def _look(row: dict[str, Any]) -> str:
    return "alert" if row["failed"] + row["diverged"] + row["lost"] else ""


def _eta_words(row: dict[str, Any]) -> str:
    words = f"ETA {duration(row['eta_s'])}"
    spread = row.get("eta_spread_s")
    return words + (f", between {duration(spread[0])} and {duration(spread[1])}" if spread else "")
