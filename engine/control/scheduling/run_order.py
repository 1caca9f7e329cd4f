"""Which runs are to start next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from engine.records.states import RunState, RunStatus, SweepState

SecondsByHost = dict[str, float]
"""By host where a run may go, the seconds that it should take there."""
_MOST_LOOKED_AT, _MOST_YIELDED = 2000, 200
"""Of one sweep in one round: a grid of ten thousand is not gone through five times a second."""


def runs_to_start(
    sweeps: Mapping[str, SweepState],
    runs: Mapping[str, RunState],
    has_result: Callable[[str, str], bool],
    where: Callable[[str, str], SecondsByHost],
) -> Iterator[tuple[str, str, SecondsByHost]]:
    """(sweep, run, hosts) that are to start, and where they may: sweeps by their priority and then in the order of
    their launch, each within its own number of runs at once, runs in the order of the grid.

    `has_result(run_id, evaluation_id)`: whether a run that ended need not be scored again for a sweep with other
    questions. `where(sweep, run)`: the hosts that it may go to; with none it is left out, and takes no other's place.
    """
    chosen: set[str] = set()
    for name, sweep in sorted(sweeps.items(), key=lambda item: (-item[1].priority, item[1].launched_s)):
        if not sweep.active or not sweep.prepared:
            continue
        running = sum(runs[r].is_running for r in sweep.run_ids)
        room = sweep.slots - running if sweep.slots else len(sweep.run_ids)
        looked_at = yielded = 0
        for run_id in sweep.run_ids:
            if room <= 0 or looked_at >= _MOST_LOOKED_AT or yielded >= _MOST_YIELDED:
                break
            run = runs[run_id]
            unscored = run.status.is_scored and not has_result(run_id, sweep.evaluation_id)
            if (run.status is RunStatus.QUEUED or unscored) and run_id not in chosen:
                looked_at += 1
                hosts = where(name, run_id)
                if hosts:
                    chosen.add(run_id)
                    room -= 1
                    yielded += 1
                    yield name, run_id, hosts
