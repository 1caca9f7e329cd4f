"""The machines that runs go to: what is busy there and what was used, whether they are fit, and who may start there."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from engine.errors import KituiError
from engine.records.hosts import known_host
from engine.records.states import LOCAL
from engine.records.status import HostStatus
from kitui.services.hosts import finding_lines, findings_of
from kitui.services.orders import VERBS, question
from kitui.services.text import printable
from kitui.tui.bindings import bindings
from kitui.tui.live.snapshot import Snapshot
from kitui.tui.screens.base import KituiScreen
from kitui.tui.screens.confirm import Confirm
from kitui.tui.widgets.line_table import Column, LineTable

_COLUMNS = (
    Column("name", "host", 14),
    Column("kind", "kind", 6),
    Column("busy", "busy", 7, right=True),
    Column("hours", "hours", 9, right=True),
    Column("standing", "", 36),
)


class HostsScreen(KituiScreen):
    NAME = "hosts"
    BINDINGS: ClassVar[list[BindingType]] = bindings("hosts")
    AUTO_FOCUS = "#hosts"

    def __init__(self) -> None:
        super().__init__()
        self._findings: dict[str, list[str]] = {}
        """By host, what its last check found; or that it is being checked."""
        self._said = ""

    def compose_body(self) -> ComposeResult:
        table = LineTable(_COLUMNS, _texts, lambda row: row.name, look=_look, id="hosts", classes="pane")
        table.border_title = "Hosts"
        yield table
        with VerticalScroll(id="host-detail", can_focus=False, classes="pane"):
            yield Static("", id="host-words", markup=False)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.query_one(LineTable).show(snapshot.status.hosts)
        self._show_detail()

    @on(LineTable.Moved)
    def _show_detail(self) -> None:
        snapshot, row = self.kitui.snapshot, self._row
        if snapshot is None or row is None:
            return
        lines = [f"! {printable(row.fault)}"] if row.fault else []
        where = ["this machine"] if row.name == LOCAL else [part for part in (row.ssh, row.workspace) if part]
        lines.append(f"{row.name}: " + printable(", ".join(where)))
        for sweep in row.sweeps:
            cap = f", at most {sweep.cap_hours:g} GPU-hours" if sweep.cap_hours is not None else ""
            lines.append(f"wanted by {printable(sweep.name)}{cap}")
        lines.extend(self._findings.get(row.name, ["", "c checks each step, and says what to mend"]))
        if len(snapshot.status.hosts) == 1:
            lines += ["", "Other machines stand in hosts.toml in the workspace; kitui hosts shows how."]
        text = "\n".join(lines)
        if text != self._said:
            self._said = text
            self.query_one("#host-words", Static).update(text)

    @property
    def _row(self) -> HostStatus | None:
        row: HostStatus | None = self.query_one(LineTable).current
        return row

    @on(LineTable.Opened)
    def action_check(self) -> None:
        if self._row is not None:
            name = self._row.name
            self._findings[name] = ["", "checking …"]
            self._show_detail()
            self._check(name)

    @work(thread=True)
    def _check(self, name: str) -> None:
        try:
            lines = ["", *finding_lines(findings_of(known_host(self.kitui.workspace, name)))]
        except KituiError as error:
            lines = ["", printable(str(error))]
        self.app.call_from_thread(self._checked, name, lines)

    def _checked(self, name: str, lines: list[str]) -> None:
        self._findings[name] = lines
        self._show_detail()

    def action_drain(self) -> None:
        if self._row is not None:
            self.kitui.order("drain", [self._row.name])

    def action_reopen(self) -> None:
        if self._row is not None:
            self.kitui.order("reopen", [self._row.name])

    def action_move_off(self) -> None:
        row = self._row
        if row is None:
            return

        def decided(yes: bool | None) -> None:
            if yes:
                self.kitui.order("drain", [row.name], now=True)

        self.app.push_screen(Confirm(question("move off", [row.name], VERBS["drain"].about_hosts)), decided)

    def copy_text(self) -> str:
        return self._row.name if self._row is not None else ""


def _texts(row: HostStatus) -> list[str]:
    slots = "–" if row.slots is None else str(row.slots)
    standing = row.fault or ("" if row.slots is not None else "not met yet")
    hours = f"{row.slot_hours:,.2f}"
    return [printable(row.name), row.kind, f"{row.running}/{slots}", hours, printable(standing)]


def _look(row: HostStatus) -> str:
    return "alert" if row.fault else ""
