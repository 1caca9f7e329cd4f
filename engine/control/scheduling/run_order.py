"""Whose turn it is: which runs are to start next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Documents = dict[str, dict[str, Any]]
Hosts = dict[str, float]
"""By host, the seconds that a run should take there."""
_MOST_LOOKED_AT, _MOST_IN_TURN = 2000, 200
"""Of one sweep in one round: a grid of ten thousand is not gone through five times a second."""


def in_turn(
    sweeps: Documents,
    runs: Documents,
    has_result: Callable[[str, str], bool],
    where: Callable[[str, str], Hosts],
) -> Iterator[tuple[str, str, Hosts]]:
    """(sweep, run, hosts) that are to start, and where they may: sweeps by their priority and then in the order of
    their launch, each within its own number of runs at once, runs in the order of the grid.

    `has_result(run_id, evaluation_id)`: whether a run that ended need not be scored again for a sweep with other
    questions. `where(sweep, run)`: the hosts that it may go to; with none it has no turn, and takes none from others.
    """
    chosen: set[str] = set()
    for name, sweep in sorted(sweeps.items(), key=lambda item: (-item[1].get("priority", 0), item[1]["launched_s"])):
        if not sweep["active"] or not sweep["prepared"]:
            continue
        running = sum(runs[r]["state"] == "running" for r in sweep["run_ids"])
        room = sweep["slots"] - running if sweep["slots"] else len(sweep["run_ids"])
        looked_at = yielded = 0
        for run_id in sweep["run_ids"]:
            if room <= 0 or looked_at >= _MOST_LOOKED_AT or yielded >= _MOST_IN_TURN:
                break
            run = runs[run_id]
            unscored = run["state"] in ("done", "diverged") and not has_result(run_id, sweep["evaluation_id"])
            if (run["state"] == "queued" or unscored) and run_id not in chosen:
                looked_at += 1
                hosts = where(name, run_id)
                if hosts:
                    chosen.add(run_id)
                    room -= 1
                    yielded += 1
                    yield name, run_id, hosts
