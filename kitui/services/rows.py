"""A sweep's runs as rows: one a run, or one a cell with means over its seeds. How rows read stands in `columns`."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import msgspec

from engine.records.measures import FURTHER
from engine.records.plan import Plan, PlannedCell
from engine.records.states import Hosts, RunState, RunStatus, RunSummary, Sweeps, cell_status, hosts_away
from engine.spec.axes import AxisValue

Scores = Mapping[str, float]
"""By the name of a column: a fact set's retention, or another measure of it."""


class RunRow(msgspec.Struct, kw_only=True):
    """One run. Scores of finished runs are final; a running one has those it was last scored with, where followed."""

    run_id: str
    model: str
    params: int
    frequency: int | float
    num_tokens: int
    total_tokens: int
    templates: int
    seed: int
    status: RunStatus
    attempt: int = 0
    progress: float | None = None
    """Share of its tokens trained on; None where it is not followed."""
    scores: Scores = {}
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
    other_axes: dict[str, AxisValue] = {}

    @property
    def run_ids(self) -> tuple[str, ...]:
        return (self.run_id,)

    def score(self, name: str) -> float | None:
        return self.scores.get(name)


class CellRow(msgspec.Struct, kw_only=True):
    """One cell: means over its seeds, sample standard deviations, and how many seeds there are scores of."""

    model: str
    params: int
    frequency: int | float
    num_tokens: int
    templates: int
    statuses: dict[RunStatus, int]
    """How many of its runs stand in which way, in the order of their seeds."""
    n: int
    missing: int
    """Seeds without final scores."""
    means: Scores
    sds: Scores
    prior_exposures: float | None
    background_loss: float | None
    tokens_per_s: float | None
    run_ids: tuple[str, ...]
    other_axes: dict[str, AxisValue] = {}

    def score(self, name: str) -> float | None:
        return self.means.get(name)

    @property
    def state(self) -> str:
        """The one status of its runs, or how many are in which: `2 done, 1 running`."""
        if len(self.statuses) == 1:
            return next(iter(self.statuses)).value
        return ", ".join(f"{number} {status}" for status, number in self.statuses.items())


Row = RunRow | CellRow
_cell_of = attrgetter("model", "params", "frequency", "num_tokens", "templates")


def run_rows(
    plan: Plan,
    sweeps: Sweeps,
    runs: Mapping[str, RunState],
    hosts: Hosts,
    foreign: Mapping[str, Scores],
    unseen: Mapping[str, RunStatus] = MappingProxyType({}),
) -> list[RunRow]:
    """All runs of a sweep in the order of its grid. A sweep that was not launched here (imported, simulated) has its
    scores in `foreign`, by run. `unseen`: how runs stand that nobody looks after."""
    sweep, away = sweeps.get(plan.sweep), hosts_away(hosts)
    rows = []
    for cell in plan.cells:
        run = runs.get(cell.run_id)
        status = cell_status(sweep, run, away, unseen) if sweep is not None else RunStatus.DONE
        rows.append(_run_row(plan, cell, status, run, foreign.get(cell.run_id, {})))
    return rows


def _run_row(plan: Plan, cell: PlannedCell, status: RunStatus, run: RunState | None, foreign: Scores) -> RunRow:
    row = RunRow(
        run_id=cell.run_id,
        model=cell.model,
        params=cell.num_params,
        frequency=cell.frequency,
        num_tokens=cell.num_tokens,
        total_tokens=cell.total_tokens or cell.num_tokens,
        templates=cell.num_templates,
        seed=cell.seed,
        status=status,
        progress=1.0 if status is RunStatus.DONE else None,
        scores=foreign,
        other_axes=cell.other_axes,
    )
    if run is None:
        return row
    row.attempt, row.reason, row.host = run.attempt, run.reason, run.host if run.attempt else ""
    summary = run.results.get(plan.evaluation_id)
    if summary is not None:
        row.scores = summary_scores(summary)
        row.prior_exposures, row.background_loss = summary.prior_exposures, summary.background_loss
        row.background_epochs = summary.background_epochs
        row.tokens_per_s, row.elapsed_s = summary.tokens_per_s or None, summary.elapsed_s or None
    return row


def summary_scores(summary: RunSummary) -> Scores:
    scores = dict(summary.retention)
    if summary.overall is not None:
        scores["overall"] = summary.overall
    for measure in FURTHER:
        for name, value in summary.measures.get(measure.name, {}).items():
            scores[measure.column(name)] = value
    return scores


class Cells:
    """Runs gathered into cells. Cells whose runs are the same objects as before are not worked out again."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[list[RunRow], CellRow]] = {}

    def of(self, rows: Iterable[RunRow]) -> list[CellRow]:
        """One row a cell, in the order in which the cells first come. Only final scores count."""
        members: dict[tuple[Any, ...], list[RunRow]] = {}
        for run in rows:
            members.setdefault((*_cell_of(run), *run.other_axes.items()), []).append(run)
        known = self._known
        self._known = {
            key: known[key] if key in known and _same(known[key][0], runs) else (runs, _cell_row(runs))
            for key, runs in members.items()
        }
        return [cell for _, cell in self._known.values()]


def _same(before: list[RunRow], now: list[RunRow]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


def _cell_row(members: list[RunRow]) -> CellRow:
    first = members[0]
    final = [m for m in members if m.status is RunStatus.DONE and m.score("overall") is not None]
    statuses: dict[RunStatus, int] = {}
    for member in members:
        statuses[member.status] = statuses.get(member.status, 0) + 1
    means, sds = {}, {}
    for name in dict.fromkeys(name for m in final for name in m.scores):
        mean, sd = mean_sd(m.scores.get(name) for m in final)
        if mean is not None:
            means[name] = mean
        if sd is not None:
            sds[name] = sd
    return CellRow(
        model=first.model,
        params=first.params,
        frequency=first.frequency,
        num_tokens=first.num_tokens,
        templates=first.templates,
        statuses=statuses,
        n=len(final),
        missing=len(members) - len(final),
        means=means,
        sds=sds,
        prior_exposures=mean_sd(m.prior_exposures for m in final)[0],
        background_loss=mean_sd(m.background_loss for m in final)[0],
        tokens_per_s=mean_sd(m.tokens_per_s for m in final)[0],
        run_ids=tuple(m.run_id for m in members),
        other_axes=first.other_axes,
    )


def mean_sd(values: Iterable[float | None]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of what is there; None for the mean of nothing and the deviation of one."""
    there = [v for v in values if v is not None]
    if not there:
        return None, None
    mean = sum(there) / len(there)
    if len(there) == 1:
        return mean, None
    return mean, math.sqrt(sum((v - mean) ** 2 for v in there) / (len(there) - 1))
