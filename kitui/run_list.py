"""`kitui runs` and `kitui logs`: a sweep's runs as rows, filtered, sorted, or averaged over seeds; a run's log."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from typing import Any

from rich.table import Table

from engine.control.status import cell_state
from engine.control.store import State
from engine.errors import SpecError, nearest
from engine.records.metrics import EventRecord, MetricsTail, RetentionRecord, StepRecord, overall_retention
from engine.records.results import SCHEMA_VERSION
from engine.records.workspace import RunFolder, Workspace, read_json
from engine.spec.axes import format_count
from kitui.console import out, printable
from kitui.format import duration, retention
from kitui.query import parse_filter
from kitui.sweeps import known_sweep

COLUMNS = (
    "run_id",
    "model",
    "params",
    "frequency",
    "num_tokens",
    "total_tokens",
    "templates",
    "seed",
    "state",
    "attempt",
    "overall",
    "prior",
    "infused",
    "verbatim",
    "unseen",
    "prior_exposures",
    "background_loss",
    "background_epochs",
    "tokens_per_s",
    "elapsed_s",
    "reason",
)
_SCORES = ("overall", "prior", "infused", "verbatim", "unseen", "prior_exposures", "background_loss", "tokens_per_s")
_CELL = ("model", "params", "frequency", "num_tokens", "templates")


def run_rows(workspace: Workspace, sweep: str, state: State) -> list[dict[str, Any]]:
    """All runs of a sweep as rows of `COLUMNS`; scores of the finished ones are final, others have none."""
    name, _, plan = known_sweep(workspace, sweep)
    state.refresh()
    launched = state.sweeps.get(name)
    rows = []
    for cell in plan.cells:
        run = state.runs.get(cell.run_id)
        summary = run["results"].get(plan.evaluation_id, {}) if run else {}
        rows.append(
            {
                "run_id": cell.run_id,
                "model": cell.model,
                "params": cell.num_params,
                "frequency": cell.frequency,
                "num_tokens": cell.num_tokens,
                "total_tokens": cell.total_tokens or cell.num_tokens,
                "templates": cell.num_templates,
                "seed": cell.seed,
                "state": cell_state(launched, run) if launched else "done",
                "attempt": (run or {}).get("attempt", 0),
                "overall": summary.get("overall"),
                **{s: summary.get("retention", {}).get(s) for s in ("prior", "infused", "verbatim", "unseen")},
                "prior_exposures": summary.get("prior_exposures"),
                "background_loss": summary.get("background_loss"),
                "background_epochs": summary.get("background_epochs"),
                "tokens_per_s": summary.get("tokens_per_s"),
                "elapsed_s": summary.get("elapsed_s"),
                "reason": (run or {}).get("reason", ""),
            }
        )
    return rows


def runs_document(
    workspace: Workspace, sweep: str, *, where: str | None, sort: str | None, by_seed: bool
) -> dict[str, Any]:
    """The document of `kitui runs --json`."""
    rows = run_rows(workspace, sweep, State(workspace))
    if where:
        keep = parse_filter(where, COLUMNS)
        rows = [row for row in rows if keep(row)]
    if not by_seed:
        rows = cell_rows(rows)
    if sort:
        rows = sorted_rows(rows, sort)
    name = known_sweep(workspace, sweep)[0]
    return {"schema_version": SCHEMA_VERSION, "sweep": name, "by_seed": by_seed, "runs": rows}


def sorted_rows(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Rows by a column, `-column` descending; empty values last either way."""
    column, descending = key.lstrip("-"), key.startswith("-")
    known = tuple(rows[0]) if rows else COLUMNS
    if column not in known:
        raise SpecError("no such column.", key="--sort", value=column, mend=nearest(column, known))
    filled = [row for row in rows if row[column] is not None]
    filled.sort(key=lambda row: row[column], reverse=descending)
    return filled + [row for row in rows if row[column] is None]


def cell_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a cell: scores are means over seeds, with sd and n of the overall retention; missing: unfinished."""
    cells: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for run in rows:
        cells[tuple(run[c] for c in _CELL)].append(run)
    means = []
    for key, members in cells.items():
        scored = [m["overall"] for m in members if m["overall"] is not None]
        row: dict[str, Any] = dict(zip(_CELL, key, strict=True))
        row |= {"n": len(scored), "missing": len(members) - len(scored)}
        for column in _SCORES:
            values = [m[column] for m in members if m[column] is not None]
            row[column] = statistics.fmean(values) if values else None
        row["sd"] = statistics.stdev(scored) if len(scored) > 1 else None
        means.append(row)
    return means


def print_runs(document: dict[str, Any]) -> None:
    by_seed = document["by_seed"]
    table = Table(box=None, pad_edge=False)
    table.add_column("run" if by_seed else "size", no_wrap=True)
    for column in (("state",) if by_seed else ("n", "missing")) + ("F", "overall", "prior", "infused", "unseen"):
        table.add_column(column, justify="left" if column == "state" else "right")
    if not by_seed:
        table.add_column("sd", justify="right")
    table.add_column("time" if by_seed else "", justify="right")
    for row in document["runs"]:
        scores = [retention(row[s]) for s in ("overall", "prior", "infused", "unseen")]
        if by_seed:
            time_text = duration(row["elapsed_s"]) if row["elapsed_s"] else printable(row["reason"])[:40]
            table.add_row(row["run_id"], row["state"], f"{row['frequency']:,}", *scores, time_text)
        else:
            name = f"{row['model']}  D={format_count(row['num_tokens'])}"
            table.add_row(
                name,
                str(row["n"]),
                str(row["missing"] or ""),
                f"{row['frequency']:,}",
                *scores,
                retention(row["sd"]),
                "",
            )
    out().print(table)


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


def record_line(record: StepRecord | RetentionRecord | EventRecord) -> str:
    """One record of a run's metrics as a line of text."""
    clock = time.strftime("%H:%M:%S", time.localtime(record.time_s))
    place = f"{clock}  step {record.step:>6,}"
    if isinstance(record, StepRecord):
        loss = "not finite" if record.loss is None else f"{record.loss:.4f}"
        return f"{place}  loss {loss}  lr {record.learning_rate:.2e}  {record.tokens_per_s:,.0f} tokens/s"
    if isinstance(record, RetentionRecord):
        overall = overall_retention(record.sets)
        scores = "  ".join(f"{name} {retention(s.retention)}" for name, s in record.sets.items())
        return f"{place}  retention: overall {retention(overall)}  {scores}"
    return f"{place}  {record.name}: {record.text}" if record.text else f"{place}  {record.name}"
