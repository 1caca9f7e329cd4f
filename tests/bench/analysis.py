"""How long an analysis takes: a table of 200 curves at once, and a live sweep after one run more.

    OPENBLAS_NUM_THREADS=1 python -m tests.bench.analysis

Sweeps are simulated; each curve is a joint one of prior and infused facts, with intervals and acquisition. Beside the
times stands that of a loop of 20 million additions, since machines differ.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.analysis.curves import gather
from engine.analysis.dead_runs import scatter_of
from engine.analysis.import_rows import row_of
from engine.analysis.imports import write_sweep
from engine.analysis.side_by_side import fit_on_all_cores
from engine.analysis.simulate import Truth, power_law, simulate
from engine.analysis.sweep_analysis import SweepAnalysis
from engine.records.workspace import Workspace

DOSES = (0, 2, 8, 32, 64, 80, 96, 112, 136)


def many_curves(num_curves: int = 200) -> float:
    sizes = [7_000 + 500 * i for i in range(num_curves)]
    curves = gather(simulate(Truth(power_law(80, 0.2, 20_000), sizes, DOSES), 0))
    chosen, scatter = [c for c in curves if c.fact_set == "overall"], scatter_of(curves)
    started = time.perf_counter()
    fit_on_all_cores(lambda *_: None)(chosen, scatter, 0.8)
    return time.perf_counter() - started


def one_run_more(num_runs: int = 6) -> list[float]:
    """Seconds of each live document, law and all, after each of the last runs of a sweep of eight sizes."""
    sizes = [round(7_000 * 1.5**i) for i in range(8)]
    drawn = simulate(Truth(power_law(80, 0.2, 20_000), sizes, DOSES), 0)
    runs = list(dict.fromkeys((o.condition, o.frequency, o.seed) for o in drawn))
    times = []
    with TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        workspace.create()
        analysis = None
        for left_out in range(num_runs, -1, -1):
            known = set(runs) - set(runs[5::31][:left_out])
            now = [o for o in drawn if (o.condition, o.frequency, o.seed) in known]
            place = write_sweep(now, [row_of(o) for o in now], "bench", workspace, simulated=True, replace=True)
            analysis = analysis or SweepAnalysis(place, workspace)
            started = time.perf_counter()
            analysis.document(is_settled=False)
            times.append(time.perf_counter() - started)
    return times[1:]


def additions() -> float:
    started, total = time.perf_counter(), 0
    for number in range(20_000_000):
        total += number
    return time.perf_counter() - started


if __name__ == "__main__":
    print(f"20 million additions: {additions():.2f} s")
    print(f"200 curves, all cores: {many_curves():.1f} s")
    live = sorted(one_run_more())
    print(f"one run more, 8 curves and their law: median {live[len(live) // 2]:.2f} s, most {live[-1]:.2f} s")
    print(f"20 million additions: {additions():.2f} s")
