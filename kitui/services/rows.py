"""A sweep's runs as rows: one a run, or one a cell with means over its seeds."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from engine.control.hosts.config import host_of
from engine.control.status import cell_state
from engine.errors import SpecError, nearest
from engine.records.results import Plan, PlannedCell


class RunRow(msgspec.Struct):
    """One run. Scores of finished runs are final; a running one has those it was last scored with, where followed."""

    run_id: str
    model: str
    params: int
    frequency: int
    num_tokens: int
    total_tokens: int
    templates: int
    seed: int
    state: str
    attempt: int
    progress: float | None
    """Share of its tokens trained on; None where it is not followed."""
    overall: float | None = None
    prior: float | None = None
    infused: float | None = None
    verbatim: float | None = None
    unseen: float | None = None
    loss: float | None = None
    """Of the last steps, while it runs."""
    prior_exposures: float | None = None
    background_loss: float | None = None
    background_epochs: float | None = None
    tokens_per_s: float | None = None
    elapsed_s: float | None = None
    reason: str = ""
    host: str = ""
    """Where it was started last; empty before."""


class CellRow(msgspec.Struct):
    """One cell: means over its seeds, sample standard deviations (`…_sd`), and how many seeds there are scores of."""

    model: str
    params: int
    frequency: int
    num_tokens: int
    templates: int
    state: str
    """The one state of its runs, or how many are in which: `2 done, 1 running`."""
    n: int
    missing: int
    """Seeds without final scores."""
    overall: float | None
    overall_sd: float | None
    prior: float | None
    prior_sd: float | None
    infused: float | None
    infused_sd: float | None
    verbatim: float | None
    unseen: float | None
    prior_exposures: float | None
    background_loss: float | None
    tokens_per_s: float | None
    run_ids: tuple[str, ...]


Row = RunRow | CellRow
RUN_COLUMNS: tuple[str, ...] = RunRow.__struct_fields__
CELL_COLUMNS: tuple[str, ...] = tuple(c for c in CellRow.__struct_fields__ if c != "run_ids")
_cell_of = attrgetter("model", "params", "frequency", "num_tokens", "templates")


def run_rows(
    plan: Plan, sweep: Mapping[str, Any] | None, runs: Mapping[str, Mapping[str, Any]], imported: Mapping[str, Any]
) -> list[RunRow]:
    """All runs of a sweep in the order of its grid. `sweep` and `runs` are the state's documents; a sweep that was not
    launched here (imported, simulated) has its scores in `imported`, by run."""
    return [_run_row(plan, cell, sweep, runs.get(cell.run_id), imported.get(cell.run_id)) for cell in plan.cells]


def _run_row(
    plan: Plan,
    cell: PlannedCell,
    sweep: Mapping[str, Any] | None,
    run: Mapping[str, Any] | None,
    imported: Mapping[str, float] | None,
) -> RunRow:
    state = cell_state(dict(sweep), dict(run) if run else None) if sweep is not None else "done"
    row = RunRow(
        cell.run_id, cell.model, cell.num_params, cell.frequency, cell.num_tokens, cell.total_tokens or cell.num_tokens,
        cell.num_templates, cell.seed, state, run["attempt"] if run else 0, 1.0 if state == "done" else None,
    )  # fmt: skip
    row.host = host_of(run) if run and run["attempt"] else ""
    if imported:
        for name, value in imported.items():
            setattr(row, name, value)
    if run is None:
        return row
    row.reason = run["reason"]
    summary = run["results"].get(plan.evaluation_id)
    if summary is not None:
        row.overall = summary["overall"]
        scores = summary["retention"]
        row.prior, row.infused = scores.get("prior"), scores.get("infused")
        row.verbatim, row.unseen = scores.get("verbatim"), scores.get("unseen")
        row.prior_exposures = summary.get("prior_exposures")
        row.background_loss = summary.get("background_loss")
        row.background_epochs = summary.get("background_epochs")
        row.tokens_per_s, row.elapsed_s = summary.get("tokens_per_s"), summary.get("elapsed_s")
    return row


class Cells:
    """Runs gathered into cells. Cells whose runs are the same objects as before are not worked out again."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[list[RunRow], CellRow]] = {}

    def of(self, rows: Iterable[RunRow]) -> list[CellRow]:
        """One row a cell, in the order in which the cells first come. Only final scores count."""
        members: dict[tuple[Any, ...], list[RunRow]] = {}
        for run in rows:
            members.setdefault(_cell_of(run), []).append(run)
        known = self._known
        self._known = {
            key: known[key] if key in known and _same(known[key][0], runs) else (runs, _cell_row(key, runs))
            for key, runs in members.items()
        }
        return [cell for _, cell in self._known.values()]


def _same(before: list[RunRow], now: list[RunRow]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


def _cell_row(key: tuple[Any, ...], members: list[RunRow]) -> CellRow:
    final = [m for m in members if m.state == "done" and m.overall is not None]
    states: dict[str, int] = {}
    for member in members:
        states[member.state] = states.get(member.state, 0) + 1
    overall, overall_sd = mean_sd([m.overall for m in final])
    prior, prior_sd = mean_sd([m.prior for m in final])
    infused, infused_sd = mean_sd([m.infused for m in final])
    model, params, frequency, num_tokens, templates = key
    return CellRow(
        model, params, frequency, num_tokens, templates,
        next(iter(states)) if len(states) == 1 else ", ".join(f"{n} {s}" for s, n in states.items()),
        len(final),
        len(members) - len(final),
        overall, overall_sd, prior, prior_sd, infused, infused_sd,
        mean_sd([m.verbatim for m in final])[0],
        mean_sd([m.unseen for m in final])[0],
        mean_sd([m.prior_exposures for m in final])[0],
        mean_sd([m.background_loss for m in final])[0],
        mean_sd([m.tokens_per_s for m in final])[0],
        tuple(m.run_id for m in members),
    )  # fmt: skip


def mean_sd(values: Iterable[float | None]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of what is there; None for the mean of nothing and the deviation of one."""
    there = [v for v in values if v is not None]
    if not there:
        return None, None
    mean = sum(there) / len(there)
    if len(there) == 1:
        return mean, None
    return mean, math.sqrt(sum((v - mean) ** 2 for v in there) / (len(there) - 1))


def sorted_rows(rows: Sequence[Any], key: str, columns: Sequence[str]) -> list[Any]:
    """Rows by a column, `-column` descending; empty values last either way. SpecError for no such column."""
    column, descending = key.removeprefix("-"), key.startswith("-")
    if column not in columns:
        raise SpecError("no such column.", key="--sort", value=column, mend=nearest(column, tuple(columns)))
    get = attrgetter(column)
    filled = [row for row in rows if get(row) is not None]
    filled.sort(key=get, reverse=descending)
    return filled + [row for row in rows if get(row) is None] if len(filled) < len(rows) else filled


def imported_scores(plan: Plan, curves: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Scores by run of a sweep that was not trained here, from the curves of its analysis."""
    run_ids = {(c.num_params, c.num_tokens, c.num_templates, c.frequency, c.seed): c.run_id for c in plan.cells}
    scores: dict[str, dict[str, float]] = {}
    for curve in curves:
        condition = curve["condition"]
        for point in curve["points"]:
            for value in point["values"]:
                key = (condition["num_params"], condition["num_tokens"], condition["templates"] or 1)
                run_id = run_ids.get((*key, point["frequency"], value["seed"]))
                if run_id is not None:
                    scores.setdefault(run_id, {})[curve["fact_set"]] = value["retention"]
    return scores
