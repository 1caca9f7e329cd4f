"""What the app shows: read from the workspace by a worker, handed to the screens as one value. No widgets here."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.control.commands import Reviver
from engine.control.status import status
from engine.control.store import State
from engine.errors import KituiError
from engine.records.metrics import (
    AnyRecord,
    EventRecord,
    MetricsTail,
    RetentionRecord,
    StepRecord,
    last_attempts,
    overall_retention,
)
from engine.records.results import Plan
from engine.records.workspace import Workspace, read_json
from kitui.run_list import record_line, run_rows
from kitui.sweeps import known_sweep

_LOG_LINES = 200
_NO_STATUS: dict[str, Any] = {"sweeps": [], "supervisor": {"alive": False, "pid": None}, "hosts": []}


class LearningCurve(NamedTuple):
    """One run over its tokens so far: retention by fact set (with `overall`), and loss."""

    tokens: tuple[int, ...]
    retention: dict[str, tuple[float, ...]]
    loss_tokens: tuple[int, ...]
    loss: tuple[float | None, ...]
    log: tuple[str, ...]
    num_tokens: int


class Snapshot(NamedTuple):
    """Everything on the screens at one moment. `version` grows with each change; equal versions are equal."""

    version: int
    status: dict[str, Any]
    sweep: str | None
    plan: Plan | None
    rows: list[dict[str, Any]]
    law: dict[str, Any] | None
    curves: dict[str, LearningCurve]
    """By run: those running, and those asked for."""
    error: str | None


class Reader:
    """Reads the workspace again and again; what did not change is not read twice."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._state = State(workspace)
        self._tails: dict[str, _RunTail] = {}
        self._law: tuple[tuple[str, int], dict[str, Any]] | None = None
        self._last: Snapshot | None = None
        self._reviver = Reviver(workspace)

    def read(self, sweep: str | None, wanted_runs: frozenset[str]) -> Snapshot:
        """The state of things now, for the chosen sweep and the runs whose curves are wanted."""
        error = None
        plan, rows, law = None, [], None
        try:
            document = status(self.workspace, self._state)
        except KituiError as problem:  # a state that is not ours: what was shown stays, with the reason
            document = self._last.status if self._last else _NO_STATUS
            error = str(problem)
        self._reviver.look(self._state)
        names = [row["name"] for row in document["sweeps"]]
        if sweep is None and names:
            sweep = self._newest(names)
        if sweep is not None and sweep in names:
            try:
                plan = known_sweep(self.workspace, sweep)[2]
                rows = run_rows(self.workspace, sweep, self._state)
                law = self._read_law(sweep)
            except KituiError as problem:
                error = str(problem)
        running = {row["run_id"] for row in rows if row["state"] == "running"}
        known = {row["run_id"] for row in rows}
        curves = {run_id: self._curve(run_id) for run_id in sorted((running | wanted_runs) & known)}
        content = (_without_clock(document), sweep, rows, curves, error)
        last = self._last
        if (
            last is not None
            and law is last.law
            and content
            == (
                _without_clock(last.status),
                last.sweep,
                last.rows,
                last.curves,
                last.error,
            )
        ):
            return last
        self._last = Snapshot((last.version if last else 0) + 1, document, sweep, plan, rows, law, curves, error)
        return self._last

    def _newest(self, names: list[str]) -> str:
        """The sweep launched last, or any where none was launched here."""
        launched = [n for n in names if n in self._state.sweeps]
        return max(launched, key=lambda n: self._state.sweeps[n]["launched_s"]) if launched else names[0]

    def _read_law(self, sweep: str) -> dict[str, Any] | None:
        path = self.workspace.sweep(sweep).law
        try:
            signature = (sweep, path.stat().st_mtime_ns)
        except FileNotFoundError:
            return None
        if self._law is None or self._law[0] != signature:
            document = read_json(path)
            if document is None:
                return None
            self._law = (signature, document)
        return self._law[1]

    def _curve(self, run_id: str) -> LearningCurve:
        if run_id not in self._tails:
            self._tails[run_id] = _RunTail(self.workspace, run_id)
        return self._tails[run_id].read()


class _RunTail:
    """One run's metrics, followed."""

    def __init__(self, workspace: Workspace, run_id: str) -> None:
        self._tail = MetricsTail(workspace.run(run_id).metrics)
        self._records: list[AnyRecord] = []
        self._curve = LearningCurve((), {}, (), (), (), 0)

    def read(self) -> LearningCurve:
        new = self._tail.read_new()
        if new:
            self._records = last_attempts([*self._records, *new])
            self._curve = learning_curve(self._records)
        return self._curve


def learning_curve(records: list[AnyRecord]) -> LearningCurve:
    """Records in the order of their steps, as a curve."""
    scores = sorted((r for r in records if isinstance(r, RetentionRecord)), key=lambda r: r.step)
    steps = sorted((r for r in records if isinstance(r, StepRecord)), key=lambda r: r.step)
    retention: dict[str, list[float]] = {}
    for record in scores:
        for name, score in record.sets.items():
            retention.setdefault(name, []).append(score.retention)
        overall = overall_retention(record.sets)
        if overall is not None:
            retention.setdefault("overall", []).append(overall)
    said = [r for r in records if isinstance(r, (EventRecord, RetentionRecord))]
    log = [record_line(r) for r in sorted(said, key=lambda r: r.time_s)]
    if steps:
        log.append(record_line(steps[-1]))
    return LearningCurve(
        tokens=tuple(r.num_tokens for r in scores),
        retention={name: tuple(values) for name, values in retention.items()},
        loss_tokens=tuple(r.num_tokens for r in steps),
        loss=tuple(r.loss for r in steps),
        log=tuple(log[-_LOG_LINES:]),
        num_tokens=max([r.num_tokens for r in steps] + [r.num_tokens for r in scores], default=0),
    )


def _without_clock(document: dict[str, Any]) -> list[Any]:
    """A status without what changes by itself every moment; an ETA counts by its ten seconds."""
    rows = [row | {"eta_s": row["eta_s"] and round(row["eta_s"], -1)} for row in document["sweeps"]]
    return [rows, document["supervisor"]["alive"], document["hosts"]]
