"""Launching and watching on the command line: bars on a terminal, plain lines elsewhere, a summary at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from engine.control.commands.queue import Reviver
from engine.control.ledger.state_file import State, read_state
from engine.control.status import status, sweep_status, with_preparation
from engine.errors import KituiError, LaunchError
from engine.records.analysis import AnalysisDocument
from engine.records.digests import is_law_behind
from engine.records.metrics import MetricsTail, RetentionRecord, StepRecord, overall_retention
from engine.records.plan import read_plan
from engine.records.states import RunState, RunStatus, SweepState, cell_status
from engine.records.status import SweepStatus
from engine.records.workspace import Workspace
from kitui.cli.asking import ask_for_caps, with_current_supervisor
from kitui.cli.base import OpenApp
from kitui.cli.console import err, note
from kitui.cli.printing import print_summary
from kitui.cli.progress import fitting_bar
from kitui.cli.status_table import print_status
from kitui.services.caps import caps_of
from kitui.services.engine_commands import analysis, plan_sweep
from kitui.services.format import duration, retention
from kitui.services.launching import check_targets, launch, launched_words
from kitui.services.planning import gpu_hours
from kitui.services.samples import sample_path
from kitui.services.sweeps import known_sweep
from kitui.services.text import printable

_REFRESH_S = 0.5
_LINE_EVERY_S = 10.0


def run_demo(workspace: Workspace, open_app: OpenApp | None) -> None:
    """Launch the laptop sweep, show it in the app or (without one) as plain text, and end with its summary."""
    planned = plan_sweep(sample_path("laptop.toml"), workspace)
    answer = with_current_supervisor(workspace, lambda: launch(workspace, planned))
    name = answer.sweep
    if open_app is not None:
        open_app(workspace, name, False)
        row = status(workspace, State(workspace), name).sweep(name)
        if row is not None and row.num_open:
            note(f"the runs go on; kitui --workspace {workspace.root} opens them again")
            return
    else:
        note(launched_words(answer))
        _watch(workspace, [name])
    print_summary(workspace, name, _analysed(workspace, name))


def _analysed(workspace: Workspace, sweep: str) -> AnalysisDocument:
    with fitting_bar() as report:
        return analysis(workspace, sweep, report=report)


def launch_sweep(
    workspace: Workspace,
    path: Path,
    *,
    hosts: list[str],
    slots: int | None,
    priority: int | None,
    caps: list[str] | None,
    watch: bool,
    many: bool,
) -> None:
    """`kitui launch`: queue a sweep's runs and return, or stay and show them. Where runs go to other machines, a cap on
    what they take there is asked for, unless one is given."""
    limits = caps_of(workspace, caps or [])
    check_targets(workspace, hosts, slots, limits)
    planned = plan_sweep(path, workspace, many=many)
    ask_for_caps(workspace, hosts, lambda: gpu_hours(planned, workspace), limits)
    answer = with_current_supervisor(
        workspace, lambda: launch(workspace, planned, hosts=hosts, slots=slots, priority=priority, caps=limits)
    )
    note(launched_words(answer))
    _shown_or_left(workspace, answer.sweep, watch=watch)


def evaluate_sweep(
    workspace: Workspace, sweep: str, changes: Mapping[str, object], *, name: str | None, dry_run: bool, watch: bool
) -> None:
    """`kitui evaluate`: queue the scoring of a sweep's kept weights, and return or stay."""
    from kitui.services.evaluating import evaluation_of  # models of sweep files, which watching does without

    found = evaluation_of(workspace, sweep, changes, name=name)
    note(found.words())
    for words in found.notes:
        note(f"note: {words}")
    if found.planned is None:
        mend = 'Keep weights: execution.keep_weights = "last".'
        raise LaunchError("there is nothing to score.", value=sweep, mend=mend)
    if dry_run:
        return
    planned = found.planned
    answer = with_current_supervisor(workspace, lambda: launch(workspace, planned, hosts=found.hosts))
    _shown_or_left(workspace, answer.sweep, watch=watch)


def _shown_or_left(workspace: Workspace, sweep: str, *, watch: bool) -> None:
    if not watch:
        note(f"kitui watch {sweep} shows them; they go on without this terminal")
        return
    state = _watch(workspace, [sweep])
    print_summary(workspace, sweep, _analysed(workspace, sweep))
    _fail_if_any(state, [sweep])


def watch_sweeps(workspace: Workspace, sweep: str | None, *, once: bool, plain: bool = False) -> None:
    """`kitui watch`: progress of one sweep, or of all active ones, until they have ended."""
    state = read_state(workspace)
    name = known_sweep(workspace, sweep)[0] if sweep else None
    names = [n for n, s in state.sweeps.items() if n == name or (name is None and s.active)]
    if once or not names:
        print_status(status(workspace, state, name))
        return
    if plain:
        _watch_plainly(workspace, state, names)
    else:
        _watch(workspace, names)
        print_status(status(workspace, state, name))
    _fail_if_any(state, names)


def _watch(workspace: Workspace, names: list[str]) -> State:
    """Show progress until no cell of these sweeps is open and the law is written. Ctrl-C leaves; runs go on."""
    state, latest, reviver = State(workspace), _Latest(workspace), Reviver(workspace)
    try:
        with _shown(state, names, latest) as show:
            while not _over(workspace, state, names):
                show(False)
                reviver.look(state)
                time.sleep(_REFRESH_S)
            show(True)
    except KeyboardInterrupt:
        again = f"kitui watch {names[0]}" if len(names) == 1 else "kitui watch"
        note(f"\nthe runs go on: {again} shows them again, kitui cancel {' '.join(names)} ends them")
        raise
    for sweep in [state.sweeps[name] for name in names if name in state.sweeps]:
        for alert in sweep_status(sweep, state.runs).alerts:
            note(f"! {printable(sweep.name)}: {printable(alert)}")
        if sweep.prepare_error:
            raise KituiError(sweep.prepare_error, where=sweep.name)
    return state


Show = Callable[[bool], None]
"""Shows how things stand; with True, for the last time."""


@contextmanager
def _shown(state: State, names: list[str], latest: _Latest) -> Iterator[Show]:
    console = err()
    if not console.is_terminal:
        yield _Lines(state, names, latest)
        return
    columns = (TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.fields[count]}"),
               TextColumn("{task.fields[words]}"))  # fmt: skip
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as progress:
        yield _Bars(state, names, latest, progress)


class _Bars:
    """A bar a sweep and one a running run."""

    def __init__(self, state: State, names: list[str], latest: _Latest, progress: Progress) -> None:
        self.state, self.names, self.latest, self._progress = state, names, latest, progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, last: bool) -> None:
        self.latest.refresh(self.state, self.names)
        wanted: set[str] = set()
        for row in self.latest.rows(self.state, self.names):
            ended = row.cells - row.num_open
            wanted.add(row.name)
            self._show(row.name, printable(row.name), ended, row.cells, f"{ended}/{row.cells}", _pace_words(row))
            if row.preparation is not None and row.preparation.share is not None:
                key, share = f"token files of {row.name}", row.preparation.share
                wanted.add(key)
                self._show(key, "  token files", round(1000 * share), 1000, f"{share:.0%}", row.preparation.making)
            for run_id in self.state.sweeps[row.name].run_ids:
                run = self.state.runs.get(run_id)
                if run is not None and run.is_running:
                    wanted.add(run_id)
                    tokens = self.latest.tokens.get(run_id, 0)
                    total = self.latest.total_tokens(self.state.sweeps[row.name], run_id)
                    words = self.latest.scores.get(run_id, "tokens")
                    self._show(run_id, f"  {_short(run_id)}", tokens, total, f"{tokens:,}", words)
        for key in self._tasks.keys() - wanted:
            self._progress.remove_task(self._tasks.pop(key))

    def _show(self, key: str, label: str, done: int, total: int | None, count: str, words: str) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(label, total=total, count=count, words=words)
        self._progress.update(self._tasks[key], completed=done, total=total, count=count, words=words)


class _Lines:
    """A line a sweep, where something is new, every ten seconds at most."""

    def __init__(self, state: State, names: list[str], latest: _Latest) -> None:
        self.state, self.names, self.latest = state, names, latest
        self._next_s, self._said = 0.0, ""

    def __call__(self, last: bool) -> None:
        self.latest.refresh(self.state, self.names)
        lines = "\n".join(self._line(row) for row in self.latest.rows(self.state, self.names))
        if last or (time.monotonic() >= self._next_s and lines != self._said):
            print(lines, file=sys.stderr, flush=True)
            self._next_s, self._said = time.monotonic() + _LINE_EVERY_S, lines

    def _line(self, row: SweepStatus) -> str:
        ended = row.cells - row.num_open
        filled = round(20 * ended / max(1, row.cells))
        line = f"{printable(row.name)} [{'#' * filled}{'.' * (20 - filled)}] {ended}/{row.cells} · {_pace_words(row)}"
        return line + (f" · {self.latest.last_score}" if self.latest.last_score else "")


def _watch_plainly(workspace: Workspace, state: State, names: list[str]) -> None:
    """Say each change once, in a sentence; nothing is drawn, and nothing said is taken back."""
    reviver = Reviver(workspace)
    known: dict[str, RunStatus] = {}
    said: dict[str, tuple[int, ...]] = {}
    over = False
    while not over:
        over = _over(workspace, state, names)
        for sweep in [state.sweeps[name] for name in names if name in state.sweeps]:
            for run_id in sweep.run_ids:
                run = state.runs.get(run_id)
                now = cell_status(sweep, run)
                if known.get(run_id, now) != now and now not in (RunStatus.QUEUED, RunStatus.PREPARING):
                    print(f"{run_id}: {_run_sentence(now, sweep, run)}", flush=True)
                known[run_id] = now
            row = sweep_status(sweep, state.runs)
            counts = (
                row.num(RunStatus.DONE),
                row.num_in_trouble,
                row.num(RunStatus.RUNNING),
                row.num(RunStatus.PAUSED),
            )
            if said.get(sweep.name) != counts:
                said[sweep.name] = counts
                print(_counts_sentence(row, *counts), flush=True)
        reviver.look(state)
        if not over:
            time.sleep(_REFRESH_S)
    paused = sum(row.num(RunStatus.PAUSED) for row in _rows(state, names))
    print(f"{paused} runs are paused, all others have ended." if paused else "All runs have ended.", flush=True)


def _counts_sentence(row: SweepStatus, done: int, failed: int, running: int, paused: int) -> str:
    words = f"{printable(row.name)}: {done} of {row.cells} runs done, {running} running"
    words += f", {failed} failed" if failed else ""
    words += f", {paused} paused" if paused else ""
    return words + (f", about {duration(row.eta_s)} left" if row.eta_s is not None else "") + "."


def _run_sentence(now: RunStatus, sweep: SweepState, run: RunState | None) -> str:
    result = run.results.get(sweep.evaluation_id) if run is not None else None
    if result is not None and result.overall is not None:
        return f"{now}, overall retention {result.overall:.2f}."
    return f"{now}: {printable(run.reason)}." if run is not None and run.reason else f"{now}."


def _over(workspace: Workspace, state: State, names: list[str]) -> bool:
    """Whether no run of these sweeps is open, and what their results say is written."""
    state.refresh()
    for sweep in [state.sweeps[name] for name in names if name in state.sweeps]:  # others are deleted meanwhile
        if sweep_status(sweep, state.runs).num_open:
            return False
        plan = read_plan(workspace.sweep(sweep.name).plan)
        if sweep.active and (plan is None or is_law_behind(plan, workspace)):
            return False
    return True


def _fail_if_any(state: State, names: list[str]) -> None:
    """Exit with 1 where runs of these sweeps failed."""
    if any(row.num_in_trouble for row in _rows(state, names)):
        raise SystemExit(1)


class _Latest:
    """What running runs last reported, by tailing their metrics."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tails: dict[tuple[str, int], MetricsTail] = {}
        self._totals: dict[str, int] = {}
        self.tokens: dict[str, int] = {}
        self.scores: dict[str, str] = {}
        self.last_score = ""

    def refresh(self, state: State, names: list[str]) -> None:
        for sweep in [state.sweeps[name] for name in names if name in state.sweeps]:
            for run_id in sweep.run_ids:
                run = state.runs.get(run_id)
                if run is not None and run.is_running:
                    tail = MetricsTail(self._workspace.run(run_id).metrics)
                    for record in self._tails.setdefault((run_id, run.attempt), tail).read_new():
                        if isinstance(record, StepRecord):
                            self.tokens[run_id] = record.num_tokens
                        elif isinstance(record, RetentionRecord):
                            self._score(run_id, record)

    def rows(self, state: State, names: list[str]) -> list[SweepStatus]:
        """Each launched sweep's line of the status, with how far its preparation has come."""
        return [with_preparation(row, self._workspace) for row in _rows(state, names)]

    def total_tokens(self, sweep: SweepState, run_id: str) -> int | None:
        """Tokens that a run is trained on in all; None while that is not known."""
        if run_id not in self._totals:
            plan = read_plan(self._workspace.sweep(sweep.name).plan)
            cells = plan.cells if plan is not None else ()
            self._totals |= {cell.run_id: cell.total_tokens or cell.num_tokens for cell in cells}
        return self._totals.get(run_id)

    def _score(self, run_id: str, record: RetentionRecord) -> None:
        parts = {"overall": overall_retention(record.sets)}
        parts |= {s: score.retention for s, score in record.sets.items() if s in ("prior", "infused")}
        self.scores[run_id] = "  ".join(f"{s} {retention(r)}" for s, r in parts.items())
        self.last_score = f"{_short(run_id)}: {self.scores[run_id]}"


def _rows(state: State, names: list[str]) -> list[SweepStatus]:
    """Each launched sweep's line of the status."""
    return [sweep_status(state.sweeps[name], state.runs) for name in names if name in state.sweeps]


def _short(run_id: str) -> str:
    """A run's id without its hash."""
    return run_id.rsplit("-", 1)[0]


def _pace_words(row: SweepStatus) -> str:
    if row.num(RunStatus.PREPARING):
        return "preparing token files" + (f": {row.preparation.words}" if row.preparation else "")
    if not row.num_open:
        return "all runs have ended"
    return f"{row.num(RunStatus.RUNNING)} running · ETA {duration(row.eta_s)}"
