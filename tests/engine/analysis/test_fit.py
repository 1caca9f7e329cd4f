"""The analysis of a whole sweep: the documented JSON, what is computed again, and who may write law.json."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.analysis import follow, side_by_side
from engine.analysis.collapse import Collapse
from engine.analysis.curves import Curve, Observation, gather
from engine.analysis.dead_runs import scatter_of
from engine.analysis.fit import run_once
from engine.analysis.import_rows import row_of
from engine.analysis.imports import write_sweep
from engine.analysis.law_document import collapse_points
from engine.analysis.predictions import law_of, law_record
from engine.analysis.scatter import Scatter
from engine.analysis.simulate import Truth, power_law, simulate
from engine.analysis.sweep_analysis import SweepAnalysis
from engine.records.analysis import AnalysisDocument, law_json, read_analysis
from engine.records.digests import is_law_behind
from engine.records.plan import read_plan
from engine.records.record import plain
from engine.records.workspace import SweepFolder, Workspace
from tests.conftest import wait_until
from tests.engine.analysis.conftest import collapses, observations

TRUTH = Truth(power_law(30, 0.5, 30_000), (7_000, 15_000, 30_000, 60_000), (0, 1, 2, 4, 8, 16, 32, 64, 96, 128))

SMALL = TRUTH._replace(sizes=(7_000,), frequencies=(1, 4, 16, 64), num_seeds=2)


def written(workspace: Workspace, truth: Truth = TRUTH, *, name: str = "sim") -> SweepFolder:
    drawn = simulate(truth, 0)
    return write_sweep(drawn, [row_of(o) for o in drawn], name, workspace, simulated=True, replace=True)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, SweepFolder, AnalysisDocument]:
    workspace = Workspace(tmp_path_factory.mktemp("analysed"))
    workspace.create()
    folder = written(workspace)
    return workspace, folder, run_once(folder, workspace, "overall", None)


def test_the_simulated_law_is_found(analysed: tuple[Workspace, SweepFolder, AnalysisDocument]) -> None:
    law = analysed[2].law
    assert law.simulated is True
    assert [p.status for p in law.collapse_points] == ["observed"] * 4
    (fitted,) = law.laws
    low, high = fitted.parameters["exponent_params"].interval
    assert low < 0.5 < high
    assert law.reason is None
    assert fitted.next_size is not None
    assert fitted.next_size.condition.num_params > 60_000
    assert fitted.leave_largest_out is not None
    assert fitted.leave_largest_out.condition.num_params == 60_000


def test_the_document_has_the_promised_keys(analysed: tuple[Workspace, SweepFolder, AnalysisDocument]) -> None:
    document = plain(analysed[2])
    assert {"condition", "fact_set", "points"} == set(document["curves"][0])
    assert {"frequency", "values", "mean", "sd", "n", "missing"} == set(document["curves"][0]["points"][0])
    law: Any = law_json(analysed[2].law)
    promised = {"sweep", "simulated", "fact_set", "collapse_points", "laws", "template_effect", "warnings", "reason"}
    assert promised <= set(law)
    point = {
        "condition", "status", "frequency", "interval", "half_drop_frequency", "best_frequency", "drop", "shape",
        "p_value_no_collapse", "acquisition_frequency", "dead_runs", "reason",
    }  # fmt: skip
    assert point <= set(law["collapse_points"][0])
    fitted = {
        "condition", "form", "parameters", "aicc", "sigma_log", "num_points", "num_censored", "equation", "candidates",
        "leave_largest_out", "warnings",
    }  # fmt: skip
    assert fitted <= set(law["laws"][0])


def test_the_law_on_file_is_the_law_that_was_printed(
    analysed: tuple[Workspace, SweepFolder, AnalysisDocument],
) -> None:
    _, folder, document = analysed
    assert read_analysis(folder.law) == document
    assert read_analysis(folder.law) == document
    (law,) = document.law.laws
    assert law_record(law_of(law.fit)) == law.fit


class Counting:
    """Fits curves, and keeps what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, Scatter]] = []

    def __call__(self, curves: Sequence[Curve], scatter: Scatter, target_retention: float) -> list[Collapse]:
        self.calls.append((len(curves), scatter))
        return side_by_side.fit_here(curves, scatter, target_retention)


def test_each_seed_counts_once(workspace: Workspace) -> None:
    """Prior and infused are curves of their own and parts of overall: their seeds are no more for that."""
    fitter = Counting()
    SweepAnalysis(written(workspace, SMALL), workspace, fitter).document()
    ((_, scatter),) = fitter.calls
    assert scatter.df == 4


def test_a_fall_from_the_first_dose_on_bounds_the_law_from_above_only() -> None:
    (fallen,) = collapses(observations({1: 0.9, 2: 0.6, 4: 0.4, 8: 0.2, 16: 0.1}))
    assert fallen.point.status == "left_censored"
    assert fallen.reading is not None
    profile = fallen.reading.profile
    (evidence,) = collapse_points([fallen])
    assert not evidence.observed
    assert evidence.profile.below == 0.0
    highest = int(profile.loglik.argmax())
    assert (evidence.profile.loglik[: highest + 1] == 0.0).all()
    above = slice(highest + 1, None)
    assert (evidence.profile.loglik[above] == profile.loglik[above]).all()


def test_curves_that_did_not_change_are_not_fitted_again(workspace: Workspace) -> None:
    folder, fitter = written(workspace, SMALL), Counting()
    analysis = SweepAnalysis(folder, workspace, fitter)
    first = analysis.document()
    again = analysis.document()
    assert again == first
    assert len(fitter.calls) == 1


def test_a_run_more_fits_its_own_curve_again_and_the_rest_when_there_is_time(workspace: Workspace) -> None:
    drawn = simulate(TRUTH, 0)
    largest = max(o.condition.num_params for o in drawn)
    without = [o for o in drawn if (o.condition.num_params, o.seed, o.frequency) != (largest, 2, 128)]
    fitter = Counting()

    def write(observations: Sequence[Observation]) -> SweepFolder:
        return write_sweep(
            observations, [row_of(o) for o in observations], "sim", workspace, simulated=True, replace=True
        )

    analysis = SweepAnalysis(write(without), workspace, fitter)
    analysis.document()
    write(drawn)
    live = analysis.document(is_settled=False)
    follow.keep(analysis.folder, live)
    plan = read_plan(analysis.folder.plan)
    assert plan is not None
    assert live.num_unsettled == 3
    assert is_law_behind(plan, workspace)  # until all are settled
    settled = analysis.document()
    follow.keep(analysis.folder, settled)
    assert not is_law_behind(plan, workspace)
    assert [num for num, _ in fitter.calls] == [4, 1, 3]
    assert any("to be fitted again when there is time" in note for note in live.law.notes)
    assert settled == SweepAnalysis(analysis.folder, workspace).document()


def test_many_curves_are_fitted_on_all_cores_and_say_how_far_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "_AT_ONCE", 2)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    curves = [c for c in gather(simulate(TRUTH, 0)) if c.fact_set == "infused"]
    scatter = scatter_of(curves)
    told: list[tuple[int, int]] = []
    together = side_by_side.fit_on_all_cores(lambda *progress: told.append(progress))(curves, scatter, 0.8)
    assert told == [(0, 4), (2, 4), (4, 4)]
    for one, other in zip(together, side_by_side.fit_here(curves, scatter, 0.8), strict=True):
        assert one.point == other.point


def test_the_last_result_of_a_sweep_is_waited_for_by_nobody(workspace: Workspace) -> None:
    plan = read_plan(written(workspace, SMALL).plan)
    assert plan is not None
    for cell in plan.cells:
        assert not follow._has_all_results(plan, workspace)
        result = workspace.run(cell.run_id).result(plan.evaluation_id)
        result.parent.mkdir(parents=True, exist_ok=True)
        result.touch()
    assert follow._has_all_results(plan, workspace)


def test_beside_runs_the_analysis_takes_its_small_share_and_an_idle_core_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy, clock = [100.0], [1000.0]
    monkeypatch.setattr("psutil.cpu_percent", lambda: busy[0])
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    pace = follow._Pace()
    assert pace.allows()
    pace.took(cpu_s=0.6)
    assert not pace.allows()
    busy[0] = 50.0
    assert pace.allows()
    busy[0] = 100.0
    clock[0] += 0.6 / 2 / 0.02
    assert not pace.allows()
    clock[0] += 10
    assert pace.allows()


def test_too_few_collapses_are_a_reason_and_no_law(workspace: Workspace) -> None:
    folder = written(workspace, TRUTH._replace(collapse=None, sizes=(7_000, 15_000, 30_000)))
    law = run_once(folder, workspace, "overall", None).law
    assert law.laws == ()
    assert law.reason is not None
    assert "3 model sizes or more" in law.reason
    assert all(p.collapse_frequency is None for p in law.collapse_points)


def test_law_json_has_one_writer(workspace: Workspace, tmp_path: Path) -> None:
    folder = written(workspace, SMALL)
    with (folder.root / "law.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run_once(folder, workspace, "overall", None).law.collapse_points
        assert not folder.law.exists()
    run_once(folder, workspace, "infused", None)
    assert not folder.law.exists()  # only the declared analysis is kept
    run_once(folder, workspace, "overall", None)
    assert folder.law.exists()


def follower(folder: SweepFolder, parent_pid: int) -> subprocess.Popen[bytes]:
    command = ["engine.analysis.fit", str(folder.root), "--follow", str(parent_pid)]
    return subprocess.Popen([sys.executable, "-m", *command])


def test_a_follower_whose_parent_is_gone_before_it_asks_leaves_and_writes_nothing(workspace: Workspace) -> None:
    folder = written(workspace)
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    assert follower(folder, gone.pid).wait(timeout=60) == 0
    assert not folder.law.exists()


def test_a_follower_waits_for_the_one_before_it(workspace: Workspace) -> None:
    folder = written(workspace)
    with (folder.root / "law.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = follower(folder, os.getpid())
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(timeout=5)
            assert not folder.law.exists()
            fcntl.flock(held, fcntl.LOCK_UN)
            wait_until(folder.law.exists, 60)
        finally:
            waiting.kill()
            waiting.wait()
