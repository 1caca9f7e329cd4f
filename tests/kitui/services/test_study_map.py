"""The map of a study: its rows, its cells, and where F* lies among the frequencies."""

from __future__ import annotations

import pytest

from engine.records.analysis import AnalysisDocument
from engine.records.plan import Plan
from engine.records.workspace import Workspace
from kitui.services.engine_commands import analysis
from kitui.services.simulating import simulate_sweep
from kitui.services.study_map import MapRow, cell_words, study_map, tail_words
from kitui.services.sweeps import known_sweep

Study = tuple[Plan, AnalysisDocument]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    workspace = Workspace(tmp_path_factory.mktemp("map") / "workspace")
    simulate_sweep(
        workspace, "sim", law_text="30 * (N / 30k) ^ 0.5", sizes="7k,15k,30k", frequencies="0,1,2,4,8,16,32,64,96",
        num_seeds=3, num_questions=320, seed=0, replace=False, many=False,
    )  # fmt: skip
    return known_sweep(workspace, "sim")[2], analysis(workspace, "sim")


def test_the_target_stands_on_top_and_then_the_largest_size(study: Study) -> None:
    plan, document = study
    target = document.law.laws[0].next_size
    found = study_map(plan, document, "overall", target=target)
    assert found.frequencies == (0, 1, 2, 4, 8, 16, 32, 64, 96)
    assert [row.label for row in found.rows[1:]] == ["30k", "15k", "7k"]
    assert found.rows[0].target is target
    assert not found.rows[0].cells
    assert "predicted" in cell_words(found.rows[0], 4)
    assert tail_words(found.rows[0]).startswith("F* ")


def test_cells_are_means_over_seeds(study: Study) -> None:
    plan, document = study
    found = study_map(plan, document, "overall", running={((7_000, 300_000, 1), 96)})
    row = found.rows[-1]
    curve = next(c for c in document.curves if c.fact_set == "overall" and c.condition.num_params == 7_000)
    point = next(p for p in curve.points if p.frequency == 64)
    assert (row.cells[64].mean, row.cells[64].n) == (point.mean, 3)
    assert row.cells[96].is_running
    assert ", 3 seeds · F* " in cell_words(row, 64)
    assert cell_words(row, 3).endswith("not in the grid · " + tail_words(row))


def test_a_place_lies_after_the_last_frequency_below_it(study: Study) -> None:
    found = study_map(*study, "overall")
    assert [found.gap(f) for f in (None, 0.5, 1, 20, 1000)] == [None, 0, 1, 5, 8]


def test_sizes_without_results_are_there_as_such(study: Study) -> None:
    plan, document = study
    found = study_map(plan, None, "overall", running={((7_000, 300_000, 1), 8)})
    assert [row.label for row in found.rows] == ["30k", "15k", "7k"]
    assert all(cell.mean is None for row in found.rows for cell in row.cells.values())
    assert cell_words(found.rows[-1], 8).endswith("in training")
    assert cell_words(found.rows[0], 8).endswith("not trained yet")
    assert tail_words(found.rows[0]) == ""
    kept = study_map(plan, document, "overall", keep={document.curves[0].condition})
    assert len(kept.rows) == 1


def test_a_cells_runs_are_picked_whole_and_exactly() -> None:
    row = MapRow("big", (7e9, 10**11, 5), {})
    whole = "params=7000000000 and frequency=1048576 and num_tokens=100000000000 and templates=5"
    assert row.expression(1_048_576) == whole
    assert "templates" not in row.expression(0)
    assert "frequency=0.1234567891" in row.expression(0.1234567891)
