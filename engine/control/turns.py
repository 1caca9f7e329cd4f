"""Whose turn it is: which runs start next on free slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Documents = dict[str, dict[str, Any]]


def startable(
    sweeps: Documents,
    runs: Documents,
    limit: int,
    has_result: Callable[[str, str], bool],
    may: Callable[[dict[str, Any], dict[str, Any]], bool] = lambda _sweep, _run: True,
) -> list[tuple[str, str]]:
    """(sweep, run) pairs to start, `limit` at most: sweeps in the order of their launch, each within its own number of
    slots, runs in the order of the grid. `has_result(run_id, evaluation_id)`: whether a run that ended need not be
    scored again for a sweep with other questions. `may(sweep, run)`: whether it may start where the slots are."""
    chosen: dict[str, str] = {}
    for name, sweep in sorted(sweeps.items(), key=lambda item: item[1]["launched_s"]):
        if not sweep["active"] or not sweep["prepared"]:
            continue
        running = sum(runs[r]["state"] == "running" for r in sweep["run_ids"])
        room = sweep["slots"] - running if sweep["slots"] else limit
        for run_id in sweep["run_ids"]:
            if len(chosen) >= limit or room <= 0:
                break
            run = runs[run_id]
            unscored = run["state"] in ("done", "diverged") and not has_result(run_id, sweep["evaluation_id"])
            if (run["state"] == "queued" or unscored) and run_id not in chosen and may(sweep, run):
                chosen[run_id] = name
                room -= 1
    return [(name, run_id) for run_id, name in chosen.items()]
