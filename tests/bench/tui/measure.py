"""Measure the app, and rivals beside it, on as many runs; prints the table of docs/terminal.md.

    python -m tests.bench.tui.workspace FOLDER                      (once; 2 GB at 10,000 runs)
    python -m tests.bench.tui.measure FOLDER [--leet WANDB_PROGRAM] [--experimaestro PROGRAM] [--rounds 3]
        [--seconds 15]

The rivals need an environment of their own. `rivals.py` says what their runs are.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from engine.records.record import encoded
from engine.records.workspace import Workspace
from tests.bench.tui.rivals import make_experimaestro_jobs, make_wandb_runs
from tests.bench.tui.terminal import Bench, Press, p50_p95_ms
from tests.bench.tui.workspace import NUM_TOKENS, score, step_record

Row = dict[str, Any]


def measure_kitui(folder: Path, state_home: Path, seconds: float) -> Row:
    env = {"KITUI_WORKSPACE": str(folder), "XDG_STATE_HOME": str(state_home)}
    bench = Bench([sys.executable, "-m", "kitui"], env)
    row: Row = {"ready_s": bench.until("simulated-load")}
    bench.quiet(1.5)
    bench.press("3")
    bench.until("Retention")
    bench.press("g")  # one line a run
    for key, mode in (("4", "target N"), ("1", "progress"), ("3", "Retention")):
        bench.press(key)
        bench.until(mode)
    row["move"] = [bench.press(key) for key in ["j"] * 30 + ["k"] * 10]
    row["held"] = bench.hold("j", 60, 30.0)
    row["sort"] = [bench.press("o") for _ in range(10)]
    row["switch"] = [bench.press(key) for key in "4131431413"]
    bench.press("/")
    row["filter"] = [bench.press(key) for key in "frequency>=64 and seed=1"]
    for key in ("\x1b", "\x1b"):
        bench.press(key)
    bench.press("\x1b[H")
    for _ in range(8):  # the eight that run: all in the plot
        bench.press(" ")
    bench.quiet(1.0)
    bytes_per_s, cores = bench.over(seconds)
    row |= {"idle_bytes_per_s": bytes_per_s, "idle_cpu_percent": 100 * cores}
    stop = threading.Event()
    feeder = threading.Thread(target=feed, args=(Workspace(folder), 8, stop))
    feeder.start()
    bench.quiet(0.1, 3)
    bytes_per_s, cores = bench.over(seconds)
    stop.set()
    feeder.join()
    row |= {"live_kib_per_s": bytes_per_s / 1024, "live_cpu_percent": 100 * cores, "memory_mb": bench.memory_mb()}
    bench.close()
    return row


def feed(workspace: Workspace, num_running: int, stop: threading.Event) -> None:
    """Eight runs that report a step twice a second and a score every two seconds, from where they stand."""
    chance, step = random.Random(1), 500
    handles = [workspace.run(run_id).metrics.open("ab") for run_id in _running(workspace)[:num_running]]
    while not stop.wait(0.5):
        step += 1
        share = min(1.0, step / 1000)
        for handle in handles:
            record = step_record(step, int(NUM_TOKENS * share), 7 - 3 * share)
            handle.write(encoded(record) + b"\n")
            if step % 4 == 0:
                level = share * 0.9 + chance.gauss(0, 0.02)
                handle.write(encoded(score(step, int(NUM_TOKENS * share), level)) + b"\n")
            handle.flush()
    for handle in handles:
        handle.close()


def _running(workspace: Workspace) -> list[str]:
    from engine.control.ledger.state_file import read_state

    return [name for name, run in read_state(workspace).runs.items() if run.is_running]


def measure_leet(wandb: Path, num_runs: int) -> Row:
    """Its list of runs: start, moving, idle. It has no sort."""
    with tempfile.TemporaryDirectory() as folder:
        runs = make_wandb_runs(wandb, Path(folder), num_runs)
        bench = Bench([str(wandb), "leet", str(runs)], {"WANDB_ERROR_REPORTING": "false"})
        row: Row = {"ready_s": bench.until("r0000")}
        bench.quiet(1.5, 30)
        down, up = "\x1b[B", "\x1b[A"
        for _ in range(6):  # its keys belong to one of several panes: go on to the list of runs
            before = bench.the_list()
            bench.press(down)
            if bench.the_list() != before:
                break
            bench.press("\t")
        row["move"] = [bench.press(key) for key in [down] * 30 + [up] * 10]
        row["held"] = bench.hold(down, 60, 30.0)
        bytes_per_s, cores = bench.over(15)
        row |= {"idle_bytes_per_s": bytes_per_s, "idle_cpu_percent": 100 * cores, "memory_mb": bench.memory_mb()}
        bench.close()
        return row


def measure_experimaestro(program: Path, num_runs: int) -> Row:
    """The table of jobs of its only experiment."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_experimaestro_jobs(program, Path(folder), num_runs)
        argv = [str(program), "experiments", "--workdir", str(workspace), "monitor", "--console"]
        bench = Bench(argv, {"HOME": folder})
        row: Row = {"ready_s": bench.until("__main__.say")}
        bench.quiet(1.5, 30)
        down, up = "\x1b[B", "\x1b[A"
        row["move"] = [bench.press(key) for key in [down] * 30 + [up] * 10]
        row["held"] = bench.hold(down, 60, 30.0)
        row["sort"] = [bench.press(key) for key in "OOOOOO"]
        row["switch"] = [bench.press(key) for key in "sjsjsj"]
        bytes_per_s, cores = bench.over(15)
        row |= {"idle_bytes_per_s": bytes_per_s, "idle_cpu_percent": 100 * cores, "memory_mb": bench.memory_mb()}
        bench.close()
        return row


def redraw_ms(num_curves: int = 24, num_points: int = 2000) -> float:
    """Milliseconds to draw so many curves anew, from their values to styled lines, in a plot of 100 × 30 cells."""
    from rich.style import Style

    from kitui.tui.plot.draw import draw
    from kitui.tui.plot.figure import Content, Figure, Series

    rng = np.random.default_rng(0)
    x = tuple(float(i) for i in range(num_points))
    walks = np.clip(np.cumsum(rng.normal(0, 0.02, (num_curves, num_points)), axis=1), -1, 1)
    styles = {part: Style() for part in ("axis", "title", "cursor", "")} | {
        str(i): Style(color=f"color({i})") for i in range(8)
    }
    times = []
    for i in range(50):
        series = tuple(
            Series(f"run {n}", x, tuple(walk), n, points=False) for n, walk in enumerate(np.roll(walks, i, 0).tolist())
        )
        started = time.perf_counter()
        draw(Figure(Content(series, title="bench")), 100, 30, styles)
        times.append(1000 * (time.perf_counter() - started))
    return median(times)


def shown(rows: list[Row], key: str) -> str:
    """Medians over the rounds; for keys, p50 / p95 of all presses together and the median of bytes."""
    there = [row[key] for row in rows if key in row]
    if not there:
        return "–"
    if isinstance(there[0], list):
        presses: list[Press] = [press for one in there for press in one]
        p50, p95 = p50_p95_ms(presses)
        return f"{p50:.0f} / {p95:.0f} ms, {median(p.num_bytes for p in presses):,.0f} B"
    if isinstance(there[0], tuple):
        return f"{1000 * median(t[0] for t in there):.0f} ms behind, {median(t[1] for t in there):,.0f} B a key"
    return f"{median(there):.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--leet", type=Path, help="the wandb program of an environment that has wandb")
    parser.add_argument("--experimaestro", type=Path, help="the experimaestro program of an environment that has it")
    parser.add_argument("--runs", type=int, default=10_000, help="of the rivals")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="that the app is left alone, idle and with live runs"
    )
    options = parser.parse_args()
    programs: dict[str, Callable[[], Row]] = {
        "kitui": lambda: measure_kitui(options.folder, state_home, options.seconds)
    }
    if options.leet:
        programs["wandb leet"] = lambda: measure_leet(options.leet, options.runs)
    if options.experimaestro:
        programs["Experimaestro"] = lambda: measure_experimaestro(options.experimaestro, options.runs)
    rows: dict[str, list[Row]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as home:
        state_home = Path(home)
        for _ in range(options.rounds):  # side by side: what the machine does besides hits both
            for name, measure in programs.items():
                rows[name].append(measure())
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {options.rounds} rounds, 120x40")
    print("| | " + " | ".join(rows) + " |")
    print("|---|" + "---|" * len(rows))
    for key in (
        "ready_s", "move", "held", "sort", "filter", "switch", "idle_bytes_per_s", "idle_cpu_percent", "live_kib_per_s",
        "live_cpu_percent", "memory_mb",
    ):  # fmt: skip
        print(f"| {key} | " + " | ".join(shown(rows[name], key) for name in rows) + " |")
    print(f"\n24 curves of 2,000 points drawn anew: {redraw_ms():.1f} ms")


if __name__ == "__main__":
    main()
