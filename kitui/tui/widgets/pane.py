"""The lines below the plots: what the run at hand says, what the slots do, or what wants attention."""

from __future__ import annotations

from textual.widgets import Static

from kitui.services.hosts import host_line
from kitui.services.text import printable
from kitui.tui.live.snapshot import Snapshot

PANES = ("events", "slots", "hosts", "alerts")


class Pane(Static):
    DEFAULT_CSS = "Pane { height: 6; padding: 0 1; }"

    def __init__(self, id: str | None = None) -> None:
        super().__init__("", id=id, classes="pane", markup=False)
        self.kind = "events"
        self._text = ""

    def show(self, snapshot: Snapshot, run_ids: list[str]) -> None:
        room = max(1, self.size.height)
        if self.border_title != self.kind.capitalize():  # a border that is set is drawn
            self.border_title = self.kind.capitalize()
        if self.kind == "slots":
            lines = [gauge.line() for gauge in snapshot.gauges][:room] or ["no run is running here"]
        elif self.kind == "hosts":
            lines = [host_line(host) for host in snapshot.status.hosts][:room]
        elif self.kind == "alerts":
            row = snapshot.row
            lines = [f"! {alert}" for alert in row.alerts] if row else []
            lines = lines[:room] if len(lines) <= room else [*lines[: room - 1], f"and {len(lines) - room + 1:,} more"]
            lines = lines or ["no alerts"]
        else:
            lines = list(snapshot.curve_of(run_ids[0] if run_ids else None).log[-room:]) or ["nothing reported yet"]
        text = "\n".join(printable(line)[: max(20, self.size.width)] for line in lines)
        if text != self._text:
            self._text = text
            self.update(text)
