"""Rows filtered, gathered and sorted: the same for `kitui runs` and the app."""

from __future__ import annotations

import pytest

from engine.errors import SpecError
from kitui.services.rows import CellRow, Cells
from kitui.services.runs import arranged
from tests.kitui.services.test_rows import row

ROWS = [row(0, 0.4), row(1, 0.6), row(2, 0.8), row(0, 0.1, frequency=8), row(1, None, "running", frequency=8)]


def cells(where: str, sort: str | None = None) -> list[tuple[float, int]]:
    found = arranged(ROWS, where, sort, by_seed=False, cells=Cells())
    assert all(isinstance(cell, CellRow) for cell in found)
    return [(cell.frequency, cell.n) for cell in found if isinstance(cell, CellRow)]


def test_a_filter_on_an_outcome_picks_cells_by_their_means_and_never_seeds() -> None:
    assert cells("R<0.5") == [(8, 1)]  # two seeds of F = 4 lie on either side of it; its mean is 0.6
    assert cells("R>0.5") == [(4, 3)]
    assert cells("overall_sd>0.1 and n=3") == [(4, 3)]


def test_what_only_runs_have_picks_the_cells_of_those_runs() -> None:
    assert cells("state=running") == [(8, 1)]
    assert cells("seed=2") == [(4, 3)]
    assert cells("run-f8-1") == [(8, 1)]
    assert cells("nano", "-frequency") == [(8, 1), (4, 3)]


def test_runs_are_filtered_one_by_one() -> None:
    found = arranged(ROWS, "R<0.5", "overall", by_seed=True, cells=Cells())
    assert [one.run_ids[0] for one in found] == ["run-f8-0", "run-f4-0"]


def test_a_filter_that_is_not_understood_is_refused_also_for_cells() -> None:
    with pytest.raises(SpecError, match="no column"):
        cells("nope=1")
