"""`kitui status` for a person. By itself, for it is asked often and loads little."""

from __future__ import annotations

from rich.table import Table

from engine.records.states import RunStatus
from engine.records.status import StatusDocument
from kitui.cli.console import out
from kitui.services.format import duration
from kitui.services.text import printable


def print_status(document: StatusDocument) -> None:
    console = out()
    if not document.sweeps:
        console.print("No sweeps yet. kitui demo shows one; kitui init writes a sweep file to start from.")
        return
    table = Table(box=None, pad_edge=False)
    # Of what there is seldom, a column only where there is some.
    seldom = [
        status for status in (RunStatus.PAUSED, RunStatus.CANCELLED) if any(r.num(status) for r in document.sweeps)
    ]
    for column in ("sweep", "cells", "done", "running", "queued", "failed", *seldom, "ETA"):
        table.add_column(column, justify="left" if column == "sweep" else "right")
    for row in document.sweeps:
        table.add_row(
            printable(row.name) + (" (simulated)" if row.simulated else ""),
            f"{row.cells:,}",
            f"{row.num(RunStatus.DONE):,}",
            f"{row.num(RunStatus.RUNNING):,}",
            f"{row.num_waiting:,}",
            f"{row.num_in_trouble:,}",
            *(f"{row.num(status):,}" for status in seldom),
            duration(row.eta_s) if row.eta_s is not None else "–",
        )
    console.print(table)
    for row in document.sweeps:
        for alert in row.alerts[:10]:
            console.print(f"! {printable(row.name)}: {printable(alert)}")
    supervisor = document.supervisor
    is_needed = any(row.num_open for row in document.sweeps)
    idle = "not running: kitui watch starts one" if is_needed else "not running (nothing to do)"
    process = f"process {supervisor.pid}{', stopped' if supervisor.stopped else ''}"
    console.print(f"supervisor: {process if supervisor.alive else idle}")
