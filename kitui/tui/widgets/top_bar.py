"""The first line of every screen: where one is, which sweep is meant, and how far it is."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.widgets import Static

from engine.records.states import RunStatus
from kitui.services.format import duration
from kitui.services.text import printable
from kitui.tui.live.snapshot import Snapshot

MODES = (
    ("sweeps", "1 Sweeps"),
    ("designer", "2 Designer"),
    ("monitor", "3 Monitor"),
    ("law", "4 Law"),
    ("hosts", "5 Hosts"),
)


class TopBar(Static):
    DEFAULT_CSS = "TopBar { height: 1; background: $panel; color: $foreground; }"

    def __init__(self, screen_name: str) -> None:
        super().__init__("", markup=False)
        self._screen_name = screen_name
        self._shown = ""

    def on_mount(self) -> None:
        self.update(self._places())

    def _places(self) -> Text:
        text = Text()
        for place, label in MODES:
            text.append(f" {label} ", style="reverse" if place == self._screen_name else "")
        return text

    def show(self, snapshot: Snapshot, *, frozen: bool = False, read_only: bool = False) -> None:
        text = self._places()
        if frozen:
            text.append("  FROZEN (f3 goes on)", style="bold reverse")
        if read_only:
            text.append("  read-only", style="bold")
        row = snapshot.row
        if row is not None:
            paused = row.num(RunStatus.PAUSED)
            text.append(f"  {printable(row.name)}" + (" (simulated)" if row.simulated else ""), style="bold")
            text.append(f" {row.num(RunStatus.DONE):,}/{row.cells:,}")
            if row.alerts:
                text.append(f" ! {len(row.alerts):,}", style="bold")
            if row.num(RunStatus.PREPARING):
                text.append("  preparing" + (f" {row.preparation.words}" if row.preparation else ""))
            elif row.num_open:
                text.append(f"  {row.num(RunStatus.RUNNING)} running" + (f", {paused} paused" if paused else ""))
                text.append(f"  ETA {duration(row.eta_s)}" if row.eta_s is not None else "")
            else:
                cancelled = row.num(RunStatus.CANCELLED)
                text.append("  paused" if paused else f"  {cancelled:,} cancelled" if cancelled else "  ended")
        if snapshot.error:
            text.append(f"  ! {printable(snapshot.error)}", style="bold")
        if text.markup != self._shown:
            self._shown = text.markup
            self.update(text)

    def on_click(self, event: events.Click) -> None:
        """A click on a screen's name goes there."""
        start = 0
        for place, label in MODES:
            if start <= event.x < start + len(label) + 2:
                self.app.switch_mode(place)
                return
            start += len(label) + 2
