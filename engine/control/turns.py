"""Whose turn it is: which runs are to start next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Documents = dict[str, dict[str, Any]]


def in_turn(sweeps: Documents, runs: Documents, has_result: Callable[[str, str], bool]) -> Iterator[tuple[str, str]]:
    """(sweep, run) pairs that are to start: sweeps by their priority and then in the order of their launch, each within
    its own number of runs at once, runs in the order of the grid. `has_result(run_id, evaluation_id)`: whether a run
    that ended need not be scored again for a sweep with other questions."""
    chosen: set[str] = set()
    for name, sweep in sorted(sweeps.items(), key=lambda item: (-item[1].get("priority", 0), item[1]["launched_s"])):
        if not sweep["active"] or not sweep["prepared"]:
            continue
        running = sum(runs[r]["state"] == "running" for r in sweep["run_ids"])
        room = sweep["slots"] - running if sweep["slots"] else len(sweep["run_ids"])
        for run_id in sweep["run_ids"]:
            if room <= 0:
                break
            run = runs[run_id]
            unscored = run["state"] in ("done", "diverged") and not has_result(run_id, sweep["evaluation_id"])
            if (run["state"] == "queued" or unscored) and run_id not in chosen:
                chosen.add(run_id)
                room -= 1
                yield name, run_id
