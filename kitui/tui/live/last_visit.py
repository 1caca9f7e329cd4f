"""Since you left: what has ended, failed or moved since this user last looked at the workspace.

What was last seen is a small file of the user's, outside the workspace: a viewer writes nothing there.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from functools import lru_cache
from pathlib import Path

from platformdirs import user_state_path

from engine.errors import StateError
from engine.records.analysis import read_analysis
from engine.records.states import Runs, RunStatus, Sweeps, SweepState, cell_status
from engine.records.workspace import Workspace, read_json, write_json
from engine.spec.axes import AXES, SIZE
from engine.spec.numbers import format_count
from kitui.services.format import counted, duration, number

_SHORTEST_ABSENCE_S = 30.0
_MOVED = 0.05  # a smaller change of F* is not worth a line


class LastVisit:
    """When this user last looked at a workspace, and the collapse points as they stood then."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        name = hashlib.sha256(str(workspace.root).encode()).hexdigest()[:16]
        self._path: Path = user_state_path("kitui") / "seen" / f"{name}.json"
        self._points: dict[str, dict[str, float | None]] = {}
        self.at_s: float | None = None
        with contextlib.suppress(StateError, KeyError, TypeError):
            content = read_json(self._path)
            if content is not None:
                self.at_s, self._points = float(content["at_s"]), dict(content["points"])

    def news(self, sweeps: Sweeps, runs: Runs) -> tuple[str, ...]:
        """Lines that say what is new; none where nothing is, or on a first visit."""
        if self.at_s is None or time.time() - self.at_s < _SHORTEST_ABSENCE_S:
            return ()
        lines = []
        for name, sweep in sorted(sweeps.items()):
            words = [*self._ended(sweep, runs), *self._moved(name)]
            if sweep.ended_s and sweep.ended_s > self.at_s:
                words.append("the sweep is over")
            if words:
                lines.append(f"{name}: {', '.join(words)}")
        if not lines:
            return ()
        return (f"Since you left, {duration(time.time() - self.at_s)} ago:", *lines)

    def _ended(self, sweep: SweepState, runs: Runs) -> list[str]:
        assert self.at_s is not None
        counts: dict[RunStatus, int] = {}
        for run_id in sweep.run_ids:
            run = runs.get(run_id)
            if run is not None and (run.ended_s or 0) > self.at_s:
                status = cell_status(sweep, run)
                if not status.is_open:
                    counts[status] = counts.get(status, 0) + 1
        return [f"{counted(count, 'run')} {status}" for status, count in counts.items()]

    def _moved(self, name: str) -> list[str]:
        before, words = self._points.get(name), []
        if before is None:
            return []
        for label, now in _points(self._workspace, name).items():
            then = before.get(label)
            if now is None and then is None:
                continue
            if now is None or then is None or abs(now - then) > _MOVED * max(now, then):
                words.append(f"F* at {label} {number(then)} → {number(now)}")
        return words

    def write(self, sweeps: Sweeps) -> None:
        """Put down that this moment was seen. A home that cannot be written costs the digest, and nothing else."""
        content = {"at_s": time.time(), "points": {name: _points(self._workspace, name) for name in sweeps}}
        with contextlib.suppress(OSError, StateError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(self._path, content)


def _points(workspace: Workspace, name: str) -> dict[str, float | None]:
    """The collapse points of a sweep's law by condition."""
    path = workspace.sweep(name).law
    try:
        return _points_as_of(path, path.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=256)
def _points_as_of(path: Path, mtime_ns: int) -> dict[str, float | None]:
    try:
        found = read_analysis(path)
    except StateError:
        found = None
    axes = [axis for axis in AXES if axis.in_condition and axis is not SIZE]
    points = {}
    for point in found.law.collapse_points if found is not None else ():
        # By its own values alone: a label stays the same while the sweep grows.
        others = [axis.named(value) for axis in axes if (value := axis.of(point.condition)) not in (None, 1)]
        points[" ".join([f"N={format_count(point.condition.num_params)}", *others])] = point.collapse_frequency
    return points
