"""What wants a person's eye while runs still count as running: no progress, a loss that is not finite, a fall in speed,
a disk that fills. Read from the ends of the runs' metrics; nothing is kept."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from itertools import pairwise
from pathlib import Path

from engine.control.room import shortage
from engine.records.metrics import AnyRecord, StepRecord, parse_lines
from engine.records.states import Runs
from engine.records.workspace import Workspace

STANDS_STILL = "no progress"
"""How the alert of a stalled run begins."""
STALL_S = 120.0
"""A run without a new record for so long, and for ten times its usual interval, has stalled."""
SLOW_SHARE = 0.5
"""A run at less than this share of its own median speed has slowed down."""
MIN_FREE_BYTES = 1e9
_TAIL_BYTES = 16_384


def run_alerts(workspace: Workspace, runs: Runs) -> dict[str, str]:
    """What is odd about runs that count as running, by run."""
    now = time.time()
    found = {}
    for run_id, run in runs.items():
        if run.is_running:
            words = _run_alert(workspace.run(run_id).metrics, run.started_s or now, now)
            if words:
                found[run_id] = words
    return found


def disk_alert(workspace: Workspace) -> str | None:
    """What to say of the workspace's disk, if it is full or nearly so."""
    if (words := shortage(workspace)) is not None:
        return words
    try:
        free = shutil.disk_usage(workspace.root).free
    except OSError:
        return None
    return f"only {free / 1e9:.2g} GB free on the disk of {workspace.root}" if free < MIN_FREE_BYTES else None


def _run_alert(metrics: Path, started_s: float, now: float) -> str | None:
    records = _last_records(metrics)
    times = [r.time_s for r in records]
    gaps = [b - a for a, b in pairwise(times) if b > a]
    limit_s = max(STALL_S, 10 * statistics.median(gaps)) if gaps else 2 * STALL_S
    last_s = max([started_s, *times[-1:]])
    if now - last_s > limit_s:  # a time of day, not how long it is: a still screen is to stay still
        return f"{STANDS_STILL} since {time.strftime('%F %H:%M', time.localtime(last_s))}"
    steps = [r for r in records if isinstance(r, StepRecord)]
    if steps and steps[-1].loss is None:
        return f"loss not finite at step {steps[-1].step:,}"
    if len(steps) >= 5:
        usual = statistics.median(r.tokens_per_s for r in steps[:-1])
        if steps[-1].tokens_per_s < SLOW_SHARE * usual:
            return f"slowed down: {steps[-1].tokens_per_s:,.0f} tokens/s, usually {usual:,.0f}"
    return None


def _last_records(path: Path) -> list[AnyRecord]:
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - _TAIL_BYTES))
            lines = handle.read().split(b"\n")
    except OSError:
        return []
    return parse_lines(lines)[0]
