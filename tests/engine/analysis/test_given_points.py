"""Collapse points of a table: what each kind of row says to a law."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.analysis.fit import run_once
from engine.analysis.given_points import bound, given_collapse
from engine.analysis.imports import import_table, read_given_points, read_imported
from engine.errors import DataError
from engine.records.conditions import Condition
from engine.records.workspace import Workspace

CONDITION = Condition(num_params=1_000, num_tokens=1)
# Muennighoff et al. 2023 (datablations), 100M unique tokens: the number of epochs at which loss is least.
DATABLATIONS = """N,estar,lo,hi
14.1M,,75,inf
44M,,75,inf
82.7M,,75,inf
146.5M,53.5,39,75
220.5M,37.5,27,59
281M,29.1,15,39
421.2M,21.9,15,39
618.7M,,1,27
1096.3M,,1,27
"""
COLUMNS = {"num_params": "N", "frequency_collapse": "estar", "lower": "lo", "upper": "hi"}


def test_each_kind_of_row() -> None:
    def row(frequency: float | None, lower: float | None, upper: float | None) -> tuple[str, float, float]:
        values = {"frequency_collapse": frequency, "lower": lower, "upper": upper}
        collapse = given_collapse(CONDITION, values.get)
        profile = collapse.profile
        assert profile is not None
        return collapse.point.status, profile.below, profile.beyond

    assert row(40, 30, 60) == ("observed", -50, -50)
    assert row(40, None, None) == ("observed", -50, -50)
    assert row(None, 75, None) == ("right_censored", -50, 0)
    assert row(None, None, 27) == ("left_censored", 0, -50)
    assert row(None, 10, 27) == ("left_censored", -50, -50)
    with pytest.raises(ValueError, match="lower ≤"):
        row(40, 50, 60)
    with pytest.raises(ValueError, match="expected frequency_collapse"):
        row(None, None, None)
    assert [bound(text) for text in ("", "nan", "inf", "0", "7.5")] == [None, None, None, None, 7.5]


def test_the_bounds_are_the_ends_of_its_interval() -> None:
    profile = given_collapse(CONDITION, {"frequency_collapse": 40.0, "lower": 30.0, "upper": 60.0}.get).profile
    assert profile is not None
    at = np.interp(np.log([30, 40, 60]), profile.log_frequency, profile.loglik)
    assert at == pytest.approx([-0.5 * 1.96**2, 0, -0.5 * 1.96**2], abs=0.02)


def test_the_law_of_a_published_set_with_both_censorings(tmp_path: Path, workspace: Workspace) -> None:
    """Its Tobit exponent is -0.86; without the largest observed size it is predicted about 7 % too low."""
    path = tmp_path / "points.csv"
    path.write_text(DATABLATIONS)
    imported = import_table(path, "published", workspace, columns=COLUMNS)
    assert read_imported(imported.folder) == []
    assert len(read_given_points(imported.folder)) == imported.num_rows == 9
    (law,) = run_once(imported.folder, workspace, "overall", None).law.laws
    exponent = law.parameters["exponent_params"]
    assert exponent.value == pytest.approx(-0.86, abs=0.05)
    assert exponent.interval[1] is not None
    assert exponent.interval[1] < 0
    assert (law.num_points, law.num_censored) == (9, 5)
    assert law.leave_largest_out is not None
    assert law.leave_largest_out.error_ln == pytest.approx(-0.07, abs=0.06)


def test_a_row_that_says_nothing_is_refused(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "points.csv"
    path.write_text("num_params,frequency_collapse,lower,upper\n1k,40,50,60\n2k,,,\n")
    with pytest.raises(DataError, match="line 2") as caught:
        import_table(path, "bad", workspace)
    assert "line 3" in str(caught.value)
