"""Many curves fitted on all cores of this machine, with word of how far that is."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from engine.analysis.collapse import Collapse, collapses_of
from engine.analysis.curves import Curve
from engine.analysis.scatter import Scatter
from engine.errors import LaunchError

Fitter = Callable[[Sequence[Curve], Scatter, float], list[Collapse]]
"""(curves, scatter, target retention) gives their collapse points."""

_AT_ONCE = 16
"""Curves that one process fits together: fewer take longer for each."""
_PR_SET_PDEATHSIG = 1


def _end_with(parent_pid: int) -> None:
    """A worker ends when the process that started it does, whichever way (where the system is Linux), and Ctrl-C ends
    it as it does that one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it was gone before that
            os._exit(1)


def fit_here(curves: Sequence[Curve], scatter: Scatter, target_retention: float) -> list[Collapse]:
    """All in this process: beside runs that want the cores."""
    return collapses_of(curves, scatter, target_retention=target_retention)


def fit_on_all_cores(report: Callable[[int, int], None]) -> Fitter:
    """`report` is told how many curves of how many are done."""

    def fitted(curves: Sequence[Curve], scatter: Scatter, target_retention: float) -> list[Collapse]:
        report(0, len(curves))
        parts = [curves[i : i + _AT_ONCE] for i in range(0, len(curves), _AT_ONCE)]
        num_processes = min(len(parts), len(os.sched_getaffinity(0)))
        if num_processes < 2:
            return fit_here(curves, scatter, target_retention)
        found: dict[int, list[Collapse]] = {}
        # Forked: SciPy need not be imported again, and this process has one thread.
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(num_processes, context, initializer=_end_with, initargs=(os.getpid(),)) as pool:
            places = {pool.submit(fit_here, part, scatter, target_retention): place for place, part in enumerate(parts)}
            for done in as_completed(places):
                try:
                    found[places[done]] = done.result()
                except BrokenProcessPool:
                    raise LaunchError(
                        "a process that was fitting curves was killed: maybe for want of memory.",
                        mend="Free some, and try again.",
                    ) from None
                report(sum(map(len, found.values())), len(curves))
        return [collapse for place in range(len(parts)) for collapse in found[place]]

    return fitted
