"""Launching and watching without the app: progress bars on a terminal, plain lines elsewhere, a summary at the end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.table import Table
from rich.text import Text

from engine.control.children.analyses import law_is_behind
from engine.control.commands.queue import Reviver
from engine.control.hosts.config import LOCAL, known_host
from engine.control.launchers.local import visible_gpus
from engine.control.status import OPEN, cell_state, status, sweep_status
from engine.control.store import State
from engine.errors import KituiError, LaunchError, SpecError
from engine.records.metrics import MetricsTail, RetentionRecord, StepRecord, overall_retention
from engine.records.results import read_plan
from engine.records.workspace import Workspace
from kitui.cli.asking import ask_for_caps
from kitui.cli.base import OpenApp
from kitui.cli.console import err, note
from kitui.cli.printing import print_status, print_summary
from kitui.services.caps import caps_of
from kitui.services.format import counted, duration, retention
from kitui.services.planning import document_of
from kitui.services.samples import sample_path
from kitui.services.sweeps import analysis, known_sweep, launch, plan_sweep
from kitui.services.text import printable

_REFRESH_S = 0.5
_LINE_EVERY_S = 10.0


def run_demo(workspace: Workspace, open_app: OpenApp | None) -> None:
    """Launch the laptop sweep, show it in the app or (without one) as plain text, and end with its summary."""
    bundle = plan_sweep(sample_path("laptop.toml"), workspace)
    answer = launch(workspace, bundle, None)
    name = answer["sweep"]
    if open_app is not None:
        open_app(workspace, name, False)
        if _open_cells(workspace, name):
            note(f"the runs go on; kitui --workspace {workspace.root} opens them again")
            return
    else:
        note(_launched_words(answer))
        _watch(workspace, [name])
    print_summary(workspace, name, analysis(workspace, name))


def launch_sweep(
    workspace: Workspace,
    path: Path,
    *,
    hosts: list[str],
    slots: int | None,
    priority: int | None,
    caps: list[str] | None,
    watch: bool,
) -> None:
    """`kitui launch`: queue a sweep's runs and return, or stay and show them. Where runs go to other machines, a cap on
    what they take there is asked for, unless one is given."""
    for host in hosts:
        if host != LOCAL:
            known_host(workspace, host)
    gpus = visible_gpus()
    if slots and gpus and slots > len(gpus) and hosts == [LOCAL]:
        raise LaunchError(
            f"there are {len(gpus)} GPUs here.", key="--slots", value=slots, mend="Ask for as many or fewer."
        )
    limits = caps_of(workspace, caps or [])
    for host in [host for host in limits if host not in hosts]:
        raise SpecError(
            "the runs do not go there.", key="--cap", value=host, mend=f"Add --host {host}, or leave it out."
        )
    bundle = plan_sweep(path, workspace)
    ask_for_caps(workspace, hosts, document_of(bundle, workspace, None)["gpu_hours"], limits)
    given = {host: hours for host, hours in limits.items() if hours is not None}
    answer = launch(workspace, bundle, slots, hosts, priority=priority, caps=given)
    note(_launched_words(answer))
    if not watch:
        note(f"kitui watch {answer['sweep']} shows them; they go on without this terminal")
        return
    state = _watch(workspace, [answer["sweep"]])
    print_summary(workspace, answer["sweep"], analysis(workspace, answer["sweep"]))
    _fail_if_any(state, [answer["sweep"]])


def watch_sweeps(workspace: Workspace, sweep: str | None, *, once: bool, plain: bool = False) -> None:
    """`kitui watch`: progress of one sweep, or of all active ones, until they have ended."""
    state = State(workspace)
    state.refresh()
    name = known_sweep(workspace, sweep)[0] if sweep else None
    names = [n for n, s in state.sweeps.items() if n == name or (name is None and s["active"])]
    if once or not names:
        print_status(status(workspace, state, name))
        return
    if plain:
        _watch_plainly(workspace, state, names)
    else:
        _watch(workspace, names)
        print_status(status(workspace, state, name))
    _fail_if_any(state, names)


def _launched_words(answer: dict[str, Any]) -> str:
    new = answer["cells"] - answer["done"]
    words = (
        f"{answer['sweep']}: {counted(new, 'run')} queued, {answer['done']:,} of {answer['cells']:,} already trained"
    )
    if answer["orphaned"]:
        words += f"; {answer['orphaned']:,} runs of its earlier form are no longer part of it (they are kept)"
    return words


def _open_cells(workspace: Workspace, name: str) -> int:
    row = status(workspace, State(workspace), name)["sweeps"]
    return sum(row[0][s] for s in OPEN) if row else 0


def _watch(workspace: Workspace, names: list[str]) -> State:
    """Show progress until no cell of these sweeps is open and the law is written. Ctrl-C leaves; runs go on."""
    console = err()
    state = State(workspace)
    latest = _Latest(workspace)
    reviver = Reviver(workspace)
    try:
        if console.is_terminal:
            with Live(console=console, refresh_per_second=4, transient=True) as live:
                while not _over(workspace, state, names):
                    live.update(_progress(workspace, state, names, latest))
                    reviver.look(state)
                    time.sleep(_REFRESH_S)
        else:
            next_line, said = 0.0, ""
            while not _over(workspace, state, names):
                lines = "\n".join(_progress_lines(state, names, latest))
                if time.monotonic() >= next_line and lines != said:
                    print(lines, file=sys.stderr, flush=True)
                    next_line, said = time.monotonic() + _LINE_EVERY_S, lines
                reviver.look(state)
                time.sleep(_REFRESH_S)
            print("\n".join(_progress_lines(state, names, latest)), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        note(f"\nthe runs go on: kitui watch {' '.join(names)} shows them again, kitui cancel {names[0]} ends them")
        raise
    for name in [n for n in names if n in state.sweeps]:
        for alert in sweep_status(name, state.sweeps[name], state.runs)["alerts"]:
            note(f"! {name}: {alert}")
        if state.sweeps[name]["prepare_error"]:
            raise KituiError(state.sweeps[name]["prepare_error"], where=name)
    return state


def _watch_plainly(workspace: Workspace, state: State, names: list[str]) -> None:
    """Say each change once, in a sentence; nothing is drawn, and nothing said is taken back."""
    reviver = Reviver(workspace)
    known: dict[str, str] = {}
    said: dict[str, tuple[int, ...]] = {}
    over = False
    while not over:
        over = _over(workspace, state, names)
        for name in [n for n in names if n in state.sweeps]:
            sweep = state.sweeps[name]
            for run_id in sweep["run_ids"]:
                run = state.runs.get(run_id)
                now = cell_state(sweep, run)
                if known.get(run_id, now) != now and now not in ("queued", "preparing"):
                    print(f"{run_id}: {_run_sentence(now, sweep, run)}", flush=True)
                known[run_id] = now
            row = sweep_status(name, sweep, state.runs)
            counts = (row["done"], row["failed"] + row["diverged"] + row["lost"], row["running"], row["paused"])
            if said.get(name) != counts:
                said[name] = counts
                done, failed, running, paused = counts
                words = f"{printable(name)}: {done} of {row['cells']} runs done, {running} running"
                words += f", {failed} failed" if failed else ""
                words += f", {paused} paused" if paused else ""
                eta = f", about {duration(row['eta_s'])} left" if row["eta_s"] is not None else ""
                print(f"{words}{eta}.", flush=True)
        reviver.look(state)
        if not over:
            time.sleep(_REFRESH_S)
    paused = sum(sweep_status(n, state.sweeps[n], state.runs)["paused"] for n in names if n in state.sweeps)
    print(f"{paused} runs are paused, all others have ended." if paused else "All runs have ended.", flush=True)


def _run_sentence(now: str, sweep: dict[str, Any], run: dict[str, Any] | None) -> str:
    result = (run or {}).get("results", {}).get(sweep["evaluation_id"])
    if result is not None and result["overall"] is not None:
        return f"{now}, overall retention {result['overall']:.2f}."
    reason = (run or {}).get("reason")
    return f"{now}: {printable(reason)}." if reason else f"{now}."


def _over(workspace: Workspace, state: State, names: list[str]) -> bool:
    """Whether no run of these sweeps is open, and what their results say is written."""
    state.refresh()
    for name in names:
        if name not in state.sweeps:  # deleted meanwhile
            continue
        sweep = state.sweeps[name]
        row = sweep_status(name, sweep, state.runs)
        if any(row[s] for s in OPEN):
            return False
        plan = read_plan(workspace.sweep(name).plan)
        if sweep["active"] and (plan is None or law_is_behind(plan, workspace)):
            return False
    return True


def _fail_if_any(state: State, names: list[str]) -> None:
    """Exit with 1 where runs of these sweeps failed."""
    rows = [sweep_status(name, state.sweeps[name], state.runs) for name in names if name in state.sweeps]
    if any(row["failed"] + row["diverged"] + row["lost"] for row in rows):
        raise SystemExit(1)


class _Latest:
    """What running runs last reported, by tailing their metrics."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tails: dict[tuple[str, int], MetricsTail] = {}
        self.tokens: dict[str, int] = {}
        self.scores: dict[str, str] = {}
        self.last_score = ""

    def refresh(self, state: State, names: list[str]) -> None:
        for name in names:
            for run_id in state.sweeps.get(name, {"run_ids": []})["run_ids"]:
                run = state.runs.get(run_id)
                if run is None or run["state"] != "running":
                    continue
                tail = self._tails.setdefault(
                    (run_id, run["attempt"]), MetricsTail(self._workspace.run(run_id).metrics)
                )
                for record in tail.read_new():
                    if isinstance(record, StepRecord):
                        self.tokens[run_id] = record.num_tokens
                    elif isinstance(record, RetentionRecord):
                        parts = {"overall": overall_retention(record.sets)}
                        parts |= {s: score.retention for s, score in record.sets.items() if s in ("prior", "infused")}
                        words = "  ".join(f"{s} {retention(r)}" for s, r in parts.items())
                        self.scores[run_id] = words
                        self.last_score = f"{run_id.rsplit('-', 1)[0]}: {words}"


def _progress(workspace: Workspace, state: State, names: list[str], latest: _Latest) -> Table:
    latest.refresh(state, names)
    grid = Table.grid(padding=(0, 1))
    for row, ended in _standings(state, names):
        filled = round(30 * ended / max(1, row["cells"]))
        bar = Text("█" * filled + "░" * (30 - filled))
        grid.add_row(printable(row["name"]), bar, f"{ended}/{row['cells']}", _pace(row))
        for run_id in state.sweeps[row["name"]]["run_ids"]:
            run = state.runs.get(run_id)
            if run is not None and run["state"] == "running":
                tokens = latest.tokens.get(run_id, 0)
                grid.add_row("", Text(run_id.rsplit("-", 1)[0]), f"{tokens:,}", latest.scores.get(run_id, "tokens"))
    return grid


def _progress_lines(state: State, names: list[str], latest: _Latest) -> list[str]:
    latest.refresh(state, names)
    lines = []
    for row, ended in _standings(state, names):
        filled = round(20 * ended / max(1, row["cells"]))
        bar = f"[{'#' * filled}{'.' * (20 - filled)}]"
        line = f"{printable(row['name'])} {bar} {ended}/{row['cells']} · {_pace(row)}"
        lines.append(line + (f" · {latest.last_score}" if latest.last_score else ""))
    return lines


def _standings(state: State, names: list[str]) -> list[tuple[dict[str, Any], int]]:
    """Each launched sweep's line of the status, and how many of its cells have ended."""
    rows = [sweep_status(name, state.sweeps[name], state.runs) for name in names if name in state.sweeps]
    return [(row, row["cells"] - sum(row[s] for s in OPEN)) for row in rows]


def _pace(row: dict[str, Any]) -> str:
    if row["preparing"]:
        return "preparing token files"
    if not any(row[state] for state in OPEN):
        return "all runs have ended"
    return f"{row['running']} running · ETA {duration(row['eta_s'])}"
