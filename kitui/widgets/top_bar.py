"""The first line of every screen: where one is, which sweep is meant, and how far it is."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from kitui.console import printable
from kitui.format import duration
from kitui.snapshot import Snapshot

_PLACES = (("sweeps", "1 Sweeps"), ("monitor", "2 Monitor"), ("law", "3 Law"))


class TopBar(Static):
    DEFAULT_CSS = "TopBar { height: 1; background: $panel; color: $foreground; }"

    def __init__(self, here: str) -> None:
        super().__init__("", markup=False)
        self._here = here

    def show(self, snapshot: Snapshot) -> None:
        text = Text(" kitui ", style="bold")
        for place, label in _PLACES:
            text.append(f" {label} ", style="reverse" if place == self._here else "")
        row = next((r for r in snapshot.status["sweeps"] if r["name"] == snapshot.sweep), None)
        if row is not None:
            open_cells = row["running"] + row["queued"] + row["preparing"]
            text.append(f"  {printable(row['name'])}" + (" (simulated)" if row["simulated"] else ""), style="bold")
            text.append(f"  {row['cells'] - open_cells}/{row['cells']}")
            if row["preparing"]:
                text.append("  preparing")
            elif open_cells:
                text.append(f"  {row['running']} running  ETA {duration(row['eta_s'])}")
            else:
                text.append("  ended")
            if row["alerts"]:
                text.append(f"  ! {len(row['alerts'])}", style="bold")
        if snapshot.error:
            text.append(f"  ! {printable(snapshot.error)}", style="bold")
        self.update(text)
