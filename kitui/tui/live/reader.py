"""What the app shows: read from the workspace by a worker, handed to the screens as one value. No widgets here.

The worker looks twice a second, less often where nothing happens. What did not change is not read, and a part of the
snapshot that did not change is the same object as before, so that a screen sees by `is` what it need not draw.
"""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

import msgspec

from engine.control.commands.queue import Reviver
from engine.control.status import status
from engine.control.store import State
from engine.errors import KituiError
from engine.records.results import Plan
from engine.records.workspace import Workspace, read_json
from kitui.services.learning_curve import NO_CURVE, CurveTail, LearningCurve
from kitui.services.rows import RunRow, imported_scores, run_rows
from kitui.services.sweeps import known_plan
from kitui.tui.live.gauges import Gauge, Gauges
from kitui.tui.live.last_visit import Seen

# ETA, stalls and the like change by the clock: how often they are looked at where nothing else has changed.
_CLOCK_S = 30.0
_SEEN_EVERY_S = 10.0
_NO_ROWS: list[RunRow] = []
_NO_STATUS: dict[str, Any] = {"sweeps": [], "supervisor": {"alive": False, "pid": None}, "hosts": []}


class Snapshot(NamedTuple):
    """Everything on the screens at one moment. `version` grows with each change; equal versions are equal."""

    version: int
    status: dict[str, Any]
    sweep: str | None
    plan: Plan | None
    rows: list[RunRow]
    law: dict[str, Any] | None
    curves: dict[str, LearningCurve]
    """By run: those running, and those asked for."""
    gauges: tuple[Gauge, ...]
    """What the slots do, while a screen shows it."""
    digest: tuple[str, ...]
    """Since you left."""
    error: str | None


class Reader:
    """Reads the workspace again and again; what did not change is not read twice."""

    def __init__(self, workspace: Workspace, *, revive: bool = True) -> None:
        self.workspace = workspace
        self.state = State(workspace)
        self._tails: dict[str, CurveTail] = {}
        self._law: tuple[tuple[str, int], dict[str, Any]] | None = None
        self._last = Snapshot(0, _NO_STATUS, None, None, _NO_ROWS, None, {}, (), (), None)
        self._reviver = Reviver(workspace) if revive else None
        self._base: tuple[tuple[object, object, object], list[RunRow]] = ((None, None, None), _NO_ROWS)
        self._looked_at: tuple[list[RunRow], tuple[tuple[int, str], ...], frozenset[str]] = (_NO_ROWS, (), frozenset())
        self._gauges = Gauges(workspace)
        self.with_gauges = False
        self._seen = Seen(workspace)
        self._scores: dict[str, dict[str, float]] = {}
        self._since: tuple[str, ...] | None = None
        self._next_seen_s = 0.0
        self._next_clock_s = 0.0
        self._watched: list[str] = []
        self._watched_for: object = None
        self._answered: tuple[Any, list[Any]] = (None, [])

    def read(self, sweep: str | None, wanted_runs: frozenset[str]) -> Snapshot:
        """The state of things now, for the chosen sweep and the runs whose curves are wanted."""
        if self._reviver is not None:
            self._reviver.look(self.state)
        question, seen = (sweep, wanted_runs), [_signature(path) for path in self._watched]
        if (question, seen) == self._answered and not self.with_gauges and time.monotonic() < self._next_clock_s:
            self._digest()
            return self._last
        snapshot = self._read(sweep, wanted_runs)
        # Looked at before it was read: what changes in between is found the next time.
        self._answered = (question, [] if self._watch(snapshot) else seen)
        return snapshot

    def _watch(self, snapshot: Snapshot) -> bool:
        """Put down all files and folders that `_read` has looked at; whether they are others than before. Putting a
        path together takes longer than asking for its time, and that is done again and again where nothing happens."""
        about = (snapshot.sweep, list(snapshot.curves))
        if about == self._watched_for:
            return False
        paths = [self.workspace.state, self.workspace.root / "sweeps"]
        if snapshot.sweep is not None:
            folder = self.workspace.sweep(snapshot.sweep)
            paths += [folder.plan, folder.bundle, folder.law]
        paths += [self.workspace.run(run_id).metrics for run_id in snapshot.curves]
        self._watched, self._watched_for = [str(path) for path in paths], about
        return True

    def _read(self, sweep: str | None, wanted_runs: frozenset[str]) -> Snapshot:
        last, error = self._last, None
        plan, rows, law = None, _NO_ROWS, None
        document = last.status
        try:
            document = self._status(document)
        except KituiError as problem:  # a state that is not ours: what was shown stays, with the reason
            error = str(problem)
        names = [row["name"] for row in document["sweeps"]]
        if sweep is None and names:
            sweep = self._newest(names)
        if not last.version and error is None:  # the first look: the list at once, what is in a sweep with the next
            self._last = last._replace(version=1, status=document, sweep=sweep)
            return self._last
        if sweep is not None and sweep in names:
            try:
                plan = known_plan(self.workspace, sweep)
                law = self._read_law(sweep, plan)
                rows = self._rows(sweep, plan, law)
            except KituiError as problem:
                error = str(problem)
        curves = self._curves(rows, wanted_runs)
        rows = self._with_live(rows, curves)
        gauges = self._gauges.read(self.state.runs) if self.with_gauges else last.gauges
        digest = self._digest()
        parts = (document, plan, rows, law, curves, gauges, digest)
        before = (last.status, last.plan, last.rows, last.law, last.curves, last.gauges, last.digest)
        same = all(a is b for a, b in zip(parts, before, strict=True)) and (sweep, error) == (last.sweep, last.error)
        if not same or not last.version:
            self._last = Snapshot(last.version + 1, document, sweep, plan, rows, law, curves, gauges, digest, error)
        return self._last

    def forget_clock(self) -> None:
        """Have the next look read all anew: a command may have changed what no record tells of."""
        self._next_clock_s = 0.0

    def troubled(self, error: str) -> Snapshot:
        """What was read last, with what is wrong now."""
        self._answered = (None, [])
        if error != self._last.error:
            self._last = self._last._replace(version=self._last.version + 1, error=error)
        return self._last

    def _status(self, before: dict[str, Any]) -> dict[str, Any]:
        """The status document; the same object while it says the same."""
        changed = self.state.refresh()
        now = time.monotonic()
        if not changed and now < self._next_clock_s and before is not _NO_STATUS:
            known = len(before["sweeps"])
            if known == len({*self.state.sweeps, *self.workspace.sweep_names()}):
                return before
        self._next_clock_s = now + _CLOCK_S
        document = status(self.workspace, self.state)
        return before if _without_clock(document) == _without_clock(before) else document

    def _digest(self) -> tuple[str, ...]:
        """What is new since this user last looked, worked out once; and now and then it is put down that he looks."""
        if self._since is None:
            self._since = self._seen.digest(self.state.sweeps, self.state.runs)
        if time.monotonic() >= self._next_seen_s:
            self._next_seen_s = time.monotonic() + _SEEN_EVERY_S
            self._seen.write(self.state.sweeps)
        return self._since

    def leave(self) -> None:
        """The viewer goes: this moment is the last that was seen."""
        if self._last.version:
            self._seen.write(self.state.sweeps)

    def _newest(self, names: list[str]) -> str:
        """The sweep launched last, or any where none was launched here."""
        launched = [n for n in names if n in self.state.sweeps]
        return max(launched, key=lambda n: self.state.sweeps[n]["launched_s"]) if launched else names[0]

    def _read_law(self, sweep: str, plan: Plan) -> dict[str, Any] | None:
        path = self.workspace.sweep(sweep).law
        try:
            signature = (sweep, path.stat().st_mtime_ns)
        except FileNotFoundError:
            return None
        if self._law is None or self._law[0] != signature:
            document = read_json(path)
            if document is None:
                return None
            foreign = plan.imported or plan.simulated
            self._scores = imported_scores(plan, document["curves"]) if foreign else {}
            for curve in document["curves"]:  # one number a run, which no screen shows: most of the file
                for point in curve["points"]:
                    del point["values"]
            self._law = (signature, document)
        return self._law[1]

    def _rows(self, sweep: str, plan: Plan, law: dict[str, Any] | None) -> list[RunRow]:
        foreign = plan.imported or plan.simulated
        inputs = (plan, self.state.runs, law if foreign else None)  # each another object when its file was replaced
        if any(a is not b for a, b in zip(inputs, self._base[0], strict=True)):
            rows = run_rows(plan, self.state.sweeps.get(sweep), self.state.runs, self._scores if foreign else {})
            before = self._base[1]
            if len(before) == len(rows):  # what did not change stays the same object: cells know by that
                rows = [b if b == r else r for b, r in zip(before, rows, strict=True)]
            self._base = (inputs, rows)
        return self._base[1]

    def _curves(self, rows: list[RunRow], wanted: frozenset[str]) -> dict[str, LearningCurve]:
        if rows is not self._looked_at[0]:  # ten thousand rows are not gone through twice a second
            running = tuple((i, row.run_id) for i, row in enumerate(rows) if row.state == "running")
            self._looked_at = (rows, running, frozenset(row.run_id for row in rows))
        _, running, known = self._looked_at
        followed = {run_id for _, run_id in running} | (wanted & known)
        for run_id in followed - self._tails.keys():
            self._tails[run_id] = CurveTail(self.workspace.run(run_id).metrics)
        for run_id in self._tails.keys() - followed:
            del self._tails[run_id]
        curves = {run_id: self._tails[run_id].read() for run_id in sorted(followed)}
        before = self._last.curves
        same = curves.keys() == before.keys() and all(curves[r] is before[r] for r in curves)
        return before if same else curves

    def _with_live(self, rows: list[RunRow], curves: dict[str, LearningCurve]) -> list[RunRow]:
        """The rows with what running runs have last reported; the same list while that is the same."""
        new: dict[int, RunRow] = {}
        for i, run_id in self._looked_at[1]:
            if run_id not in curves:
                continue
            row, curve = rows[i], curves[run_id]
            seen = (curve.num_tokens / max(1, row.total_tokens), *(curve.last(s) for s in _LIVE_SCORES))
            seen = (*seen, curve.last_loss, curve.tokens_per_s)
            if seen != tuple(getattr(row, name) for name in _LIVE):
                new[i] = msgspec.structs.replace(row, **dict(zip(_LIVE, seen, strict=True)))
        if new:
            rows = [new.get(i, row) for i, row in enumerate(rows)]
            self._base = (self._base[0], rows)
            self._looked_at = (rows, *self._looked_at[1:])
        return rows


_LIVE_SCORES = ("overall", "prior", "infused", "verbatim", "unseen")
_LIVE = ("progress", *_LIVE_SCORES, "loss", "tokens_per_s")


def curve_of(snapshot: Snapshot, run_id: str | None) -> LearningCurve:
    """The run's curve, empty where it is not followed."""
    return snapshot.curves.get(run_id or "", NO_CURVE)


def _signature(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _without_clock(document: dict[str, Any]) -> list[Any]:
    """A status without what changes by itself every moment; an ETA counts by its ten seconds."""
    rows = [row | {"eta_s": row["eta_s"] and round(row["eta_s"], -1)} for row in document["sweeps"]]
    return [rows, document["supervisor"]["alive"], document["hosts"]]
