"""What the app shows: read from the workspace by a worker, handed to the screens as one value. No widgets here.

The worker looks twice a second, less often where nothing happens. What did not change is not read, and a part of the
snapshot that did not change is the same object as before, so that a screen sees by `is` what it need not draw.
"""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

from engine.control.commands.queue import Reviver
from engine.control.ledger.state_file import State
from engine.control.status import status, unseen_runs
from engine.errors import DamageError, KituiError
from engine.records.analysis import AnalysisDocument, read_analysis
from engine.records.digests import ANALYSIS_SEMANTICS
from engine.records.plan import Plan
from engine.records.states import RunStatus
from engine.records.status import StatusDocument, SupervisorStatus
from engine.records.workspace import Workspace
from engine.spec import fact_sets
from kitui.services.learning_curve import CurveTail, LearningCurve
from kitui.services.locked import with_scores
from kitui.services.rows import RunRow, Scores, run_rows
from kitui.services.runs import foreign_scores
from kitui.services.sweeps import known_sweep
from kitui.tui.live.gauges import Gauges
from kitui.tui.live.last_visit import LastVisit
from kitui.tui.live.snapshot import Snapshot

# ETA, stalls and the like change by the clock: how often they are looked at where nothing else has changed.
_CLOCK_S = 30.0
_SEEN_EVERY_S = 10.0
_NO_ROWS: list[RunRow] = []
_NO_STATUS = StatusDocument(sweeps=(), supervisor=SupervisorStatus(alive=False, pid=None), hosts=())


class Reader:
    """Reads the workspace again and again; what did not change is not read twice."""

    def __init__(self, workspace: Workspace, *, revive: bool = True) -> None:
        self.workspace = workspace
        self.state = State(workspace)
        self._tails: dict[str, CurveTail] = {}
        self._analysis: tuple[tuple[Any, ...], AnalysisDocument] | None = None
        self._last = Snapshot(0, _NO_STATUS, None, None, _NO_ROWS, None, {}, (), (), None)
        self._reviver = Reviver(workspace) if revive else None
        self._unseen: dict[str, RunStatus] = {}
        self._base: tuple[tuple[object, ...], list[RunRow]] = ((None, None, None), _NO_ROWS)
        self._looked_at: tuple[list[RunRow], tuple[tuple[int, str], ...], frozenset[str]] = (_NO_ROWS, (), frozenset())
        self._gauges = Gauges(workspace)
        self.with_gauges = False
        self._last_visit = LastVisit(workspace)
        self._foreign: tuple[Plan | None, dict[str, Scores]] = (None, {})
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
        question, signatures = (sweep, wanted_runs), [_signature(path) for path in self._watched]
        if (question, signatures) == self._answered and not self.with_gauges and time.monotonic() < self._next_clock_s:
            self._news()
            return self._last
        snapshot = self._read(sweep, wanted_runs)
        # Looked at before it was read: what changes in between is found the next time.
        self._answered = (question, [] if self._watch(snapshot) else signatures)
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
        plan, rows, found = None, _NO_ROWS, None
        document = last.status
        try:
            document = self._status(document)
        except KituiError as problem:  # a state that is not ours: what was shown stays, with the reason
            error = str(problem)
        names = [row.name for row in document.sweeps]
        if sweep is None and names:
            sweep = self._newest(names)
        if not last.version and error is None:  # the first look: the list at once, what is in a sweep with the next
            self._last = last._replace(version=1, status=document, sweep=sweep)
            return self._last
        if sweep is not None and sweep in names:
            try:
                plan = known_sweep(self.workspace, sweep)[2]
                rows = self._rows(sweep, plan)
                found = self._read_analysis(sweep)
            except KituiError as problem:
                error = str(problem)
        curves = self._curves(rows, wanted_runs)
        rows = self._with_live(rows, curves)
        gauges = self._gauges.read(self.state.runs) if self.with_gauges else last.gauges
        news = self._news()
        parts = (document, plan, rows, found, curves, gauges, news)
        before = (last.status, last.plan, last.rows, last.analysis, last.curves, last.gauges, last.news)
        same = all(a is b for a, b in zip(parts, before, strict=True)) and (sweep, error) == (last.sweep, last.error)
        if not same or not last.version:
            outdated = found is not None and found.analysis_semantics != ANALYSIS_SEMANTICS
            version = last.version + 1
            self._last = Snapshot(version, document, sweep, plan, rows, found, curves, gauges, news, error, outdated)
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

    def _status(self, before: StatusDocument) -> StatusDocument:
        """The status document; the same object while it says the same."""
        changed = self.state.refresh()
        now = time.monotonic()
        if not changed and now < self._next_clock_s and before is not _NO_STATUS:
            known = len(before.sweeps)
            if known == len({*self.state.sweeps, *self.workspace.sweep_names()}):
                return before
        self._next_clock_s = now + _CLOCK_S
        document = status(self.workspace, self.state)
        return before if _without_clock(document) == _without_clock(before) else document

    def _news(self) -> tuple[str, ...]:
        """What is new since this user last looked, worked out once; and now and then it is put down that he looks."""
        if self._since is None:
            self._since = self._last_visit.news(self.state.sweeps, self.state.runs)
        if time.monotonic() >= self._next_seen_s:
            self._next_seen_s = time.monotonic() + _SEEN_EVERY_S
            self._last_visit.write(self.state.sweeps)
        return self._since

    def leave(self) -> None:
        """The viewer goes: this moment is the last that was seen."""
        if self._last.version:
            self._last_visit.write(self.state.sweeps)

    def _newest(self, names: list[str]) -> str:
        """The sweep launched last, or any where none was launched here."""
        launched = [n for n in names if n in self.state.sweeps]
        return max(launched, key=lambda n: self.state.sweeps[n].launched_s) if launched else names[0]

    def _read_analysis(self, sweep: str) -> AnalysisDocument | None:
        path = self.workspace.sweep(sweep).law
        signature = (sweep, _signature(str(path)), _signature(str(self.workspace.predictions)))
        if signature[1] is None:
            return None
        if self._analysis is None or self._analysis[0] != signature:
            try:
                document = read_analysis(path)
                if document is not None:
                    document = with_scores(self.workspace, document)
            except DamageError:  # it is made anew, as one that is not there
                document = None
            if document is None:
                return None
            self._analysis = (signature, document)
        return self._analysis[1]

    def _rows(self, sweep: str, plan: Plan) -> list[RunRow]:
        unseen = unseen_runs(self.workspace, self.state.runs)
        self._unseen = self._unseen if unseen == self._unseen else unseen
        inputs = (plan, self.state.runs, self._unseen)  # each another object when its file was replaced
        if any(a is not b for a, b in zip(inputs, self._base[0], strict=True)):
            state = self.state
            rows = run_rows(
                plan, state.sweeps, state.runs, state.hosts, self._foreign_scores(sweep, plan), self._unseen
            )
            before = self._base[1]
            if len(before) == len(rows):  # what did not change stays the same object: cells know by that
                rows = [b if b == r else r for b, r in zip(before, rows, strict=True)]
            self._base = (inputs, rows)
        return self._base[1]

    def _foreign_scores(self, sweep: str, plan: Plan) -> dict[str, Scores]:
        """Scores of a sweep that was not launched here, read once for each plan."""
        if sweep in self.state.sweeps or not plan.is_foreign:
            return {}
        if self._foreign[0] is not plan:
            self._foreign = (plan, foreign_scores(self.workspace.sweep(sweep), plan))
        return self._foreign[1]

    def _curves(self, rows: list[RunRow], wanted: frozenset[str]) -> dict[str, LearningCurve]:
        if rows is not self._looked_at[0]:  # ten thousand rows are not gone through twice a second
            running = tuple((i, row.run_id) for i, row in enumerate(rows) if row.status.has_begun)
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
            scores = {name: value for name in fact_sets.NAMES if (value := curve.last(name)) is not None}
            progress = curve.num_tokens / max(1, row.total_tokens)
            live = (progress, scores, curve.last_loss, curve.tokens_per_s)
            if live != (row.progress, row.scores, row.loss, row.tokens_per_s):
                new[i] = msgspec.structs.replace(
                    row, progress=progress, scores=scores, loss=curve.last_loss, tokens_per_s=curve.tokens_per_s
                )
        if new:
            rows = [new.get(i, row) for i, row in enumerate(rows)]
            self._base = (self._base[0], rows)
            self._looked_at = (rows, *self._looked_at[1:])
        return rows


def _signature(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _without_clock(document: StatusDocument) -> tuple[Any, ...]:
    """A status without what changes by itself every moment; an ETA counts by its ten seconds."""
    rows = [
        msgspec.structs.replace(row, eta_s=row.eta_s and round(row.eta_s, -1), eta_spread_s=None)
        for row in document.sweeps
    ]
    return rows, document.supervisor.alive, document.hosts
