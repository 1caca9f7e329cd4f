"""`kitui runs` and `kitui logs`: a sweep's runs as rows, filtered, sorted, or averaged over seeds; a run's log."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from rich.table import Table

from engine.control.store import State
from engine.errors import SpecError, nearest
from engine.records.metrics import MetricsTail
from engine.records.results import SCHEMA_VERSION
from engine.records.workspace import RunFolder, Workspace, read_json
from engine.spec.axes import format_count
from kitui.console import out, printable
from kitui.format import duration, retention
from kitui.learning import record_line
from kitui.query import parse_filter
from kitui.rows import CELL_COLUMNS, RUN_COLUMNS, Cells, imported_scores, run_rows, sorted_rows
from kitui.sweeps import known_sweep


def runs_document(
    workspace: Workspace, sweep: str, *, where: str | None, sort: str | None, by_seed: bool
) -> dict[str, Any]:
    """The document of `kitui runs --json`."""
    name, folder, plan = known_sweep(workspace, sweep)
    state = State(workspace)
    state.refresh()
    law = read_json(folder.law) if plan.imported or plan.simulated else None
    runs = run_rows(plan, state.sweeps.get(name), state.runs, imported_scores(plan, law["curves"]) if law else {})
    if where:
        keep = parse_filter(where, RUN_COLUMNS)
        runs = [row for row in runs if keep(row)]
    rows: list[Any] = list(runs) if by_seed else list(Cells().of(runs))
    if sort:
        rows = sorted_rows(rows, sort, RUN_COLUMNS if by_seed else CELL_COLUMNS)
    return {
        "schema_version": SCHEMA_VERSION,
        "sweep": name,
        "by_seed": by_seed,
        "runs": [msgspec.to_builtins(row) for row in rows],
    }


def print_runs(document: dict[str, Any]) -> None:
    by_seed = document["by_seed"]
    table = Table(box=None, pad_edge=False)
    table.add_column("run" if by_seed else "size", no_wrap=True)
    for column in (("state",) if by_seed else ("n", "missing")) + ("F", "overall", "prior", "infused", "unseen"):
        table.add_column(column, justify="left" if column == "state" else "right")
    table.add_column("time" if by_seed else "", justify="right")
    for row in document["runs"]:
        dose = f"{row['frequency']:,}"
        if by_seed:
            scores = [retention(row[s]) for s in ("overall", "prior", "infused", "unseen")]
            time_text = duration(row["elapsed_s"]) if row["elapsed_s"] else printable(row["reason"])[:40]
            table.add_row(row["run_id"], row["state"], dose, *scores, time_text)
        else:
            name = f"{row['model']}  D={format_count(row['num_tokens'])}"
            scores = [_with_sd(row[s], row[f"{s}_sd"]) for s in ("overall", "prior", "infused")]
            scores.append(retention(row["unseen"]))
            table.add_row(name, str(row["n"]), str(row["missing"] or ""), dose, *scores, "")
    out().print(table)


def _with_sd(mean: float | None, sd: float | None) -> str:
    return retention(mean) if sd is None else f"{retention(mean)}±{retention(sd)}"


def known_run(workspace: Workspace, run: str) -> str:
    """The run of that id, or the only one whose id begins so. SpecError otherwise."""
    folder = workspace.root / "runs"
    ids = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    matching = [i for i in ids if i == run] or [i for i in ids if i.startswith(run)]
    if len(matching) != 1:
        what = f"{len(matching)} runs begin so." if matching else "no run has this id."
        mend = nearest(run, (matching or ids)[:20]) if ids else "None has been started yet."
        raise SpecError(what, where=str(workspace.root), value=run, mend=mend)
    return matching[0]


def print_log(workspace: Workspace, run: str, *, follow: bool) -> None:
    """The run's own output, then its events and scores in order; with `follow`, on and on."""
    folder = workspace.run(known_run(workspace, run))
    if folder.log.exists():
        text = folder.log.read_text(encoding="utf-8", errors="replace")
        if text.strip():
            print(printable(text.rstrip()))
    tail = MetricsTail(folder.metrics)
    while True:
        ended = _has_ended(folder)  # looked at before the last reading, so that nothing is missed
        for record in tail.read_new():
            print(printable(record_line(record)), flush=True)
        if not follow or ended:
            break
        time.sleep(0.3)


def _has_ended(folder: RunFolder) -> bool:
    """Whether the last attempt that was launched is over."""
    launch, ending = read_json(folder.launch), read_json(folder.exit)
    return launch is None or (ending is not None and ending["attempt"] == launch["attempt"])
