"""The app on a real terminal, while smoke.toml really trains."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from engine.control.ledger.state_file import State
from engine.records.metrics import MetricsTail, RetentionRecord, overall_retention
from engine.records.workspace import Workspace
from kitui.services.format import retention
from tests.conftest import SAMPLES, CommandLine, wait_until
from tests.kitui.tui.terminal import Terminal

APP = [sys.executable, "-m", "kitui"]
LIMIT_S = 2.0
LAW_LIMIT_S = 5.0
PATIENCE_S = 20.0


class Watcher:
    """What the runs of a workspace report, as it is written."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tails: dict[Path, MetricsTail] = {}

    def new(self) -> list[tuple[str, RetentionRecord]]:
        found = []
        for path in sorted(self._workspace.root.glob("runs/*/metrics.jsonl")):
            tail = self._tails.setdefault(path, MetricsTail(path))
            found += [(path.parent.name, r) for r in tail.read_new() if isinstance(r, RetentionRecord)]
        return found


def row_of(screen: str, run_id: str) -> str:
    """The line of the run table that shows this run."""
    model, frequency, seed = re.fullmatch(r"(.+)-f(\d+)-s(\d+)-\w+", run_id).groups()  # type: ignore[union-attr]
    for line in screen.splitlines():
        if re.search(rf"{re.escape(model)}\s+{frequency}\s+{seed}\s", line):
            return line
    return ""


@pytest.mark.slow
def test_points_law_and_verdicts_appear_in_time(kitui: CommandLine) -> None:
    done = kitui("launch", SAMPLES / "smoke.toml")
    assert done.returncode == 0, done.stderr
    workspace = kitui.workspace
    with Terminal(APP, kitui.environment(), 120, 40) as terminal:
        wait_until(lambda: "smoke" in terminal.text, 30)
        terminal.send("3")
        wait_until(lambda: row_of(terminal.text, "nano-7k-f12-s1-x"), 90, lambda: terminal.text)  # prepared
        watcher = Watcher(workspace)
        watcher.new()  # written before the app was there
        delays: list[float] = []
        waiting: dict[str, tuple[float, str]] = {}
        while len(delays) < 12:
            for run_id, record in watcher.new():
                waiting[run_id] = (record.time_s, retention(overall_retention(record.sets)))
            screen, now = terminal.text, time.time()
            for run_id, (written_s, words) in list(waiting.items()):
                if words in row_of(screen, run_id):
                    delays.append(now - written_s)
                    del waiting[run_id]
                else:
                    assert now - written_s < PATIENCE_S, f"{run_id} {words}: {row_of(screen, run_id)}"
            time.sleep(0.02)
        print(f"retention on screen after {median(delays):.2f} s, {max(delays):.2f} at most, {len(delays)} points")
        assert max(delays) <= LIMIT_S

        terminal.send("4")
        wait_until(lambda: "no law: " in terminal.text, PATIENCE_S)
        # Each further ending makes the law new: the number of runs behind it stands beside the check of unseen facts.
        late = []
        while (ended := num_done(workspace)) < 12:
            wait_until(lambda n=ended: num_done(workspace) > n, 60)
            now_done, seen_s = num_done(workspace), time.time()
            wait_until(lambda n=now_done: runs_behind_law(terminal.text) >= n, PATIENCE_S)
            late.append(time.time() - seen_s)
        print(f"law on screen after {median(late):.2f} s, {max(late):.2f} at most, {len(late)} endings")
        assert max(late) <= LAW_LIMIT_S
        terminal.send("q")
        assert terminal.wait() == 0


def num_done(workspace: Workspace) -> int:
    """Results that are there, by the files: the app may not know of them yet."""
    return len(list(workspace.root.glob("runs/*/result-*.json")))


def runs_behind_law(screen: str) -> int:
    found = re.search(r"right over (\d+) runs", " ".join(screen.split()))
    return int(found[1]) if found else 0


def test_hanging_up_the_app_stops_no_run(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    done = kitui(
        "launch", write_sweep(name="short.toml", infusion_frequency="[0]", num_tokens='["8k"]', prior_rate="1000")
    )
    assert done.returncode == 0, done.stderr
    terminal = Terminal(APP, kitui.environment(), 80, 24)
    wait_until(lambda: "short" in terminal.text, 30)
    terminal.hang_up()
    terminal.wait()
    wait_until(lambda: num_done(kitui.workspace) == 4, 120)
    state = State(kitui.workspace)
    wait_until(lambda: state.refresh() and all(r.status == "done" for r in state.runs.values()), 30)


def test_the_first_screen_of_an_empty_workspace_says_what_to_do(kitui: CommandLine) -> None:
    with Terminal(APP, kitui.environment(), 80, 24) as terminal:
        wait_until(lambda: "kitui init" in terminal.text, 30)
        assert "kitui demo" in terminal.text
        terminal.send("q")
        assert terminal.wait() == 0
    assert not kitui.workspace.root.exists()
