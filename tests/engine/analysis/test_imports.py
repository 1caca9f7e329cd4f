"""Imported tables: what is accepted, what is refused and how, and that nothing half-read is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.analysis.curves import Observation
from engine.analysis.imports import import_table, read_imported, row_of, write_sweep
from engine.analysis.simulate import simulate
from engine.errors import DataError, KituiError
from engine.records.plan import read_plan
from engine.records.workspace import Workspace
from tests.engine.analysis.conftest import truth

HEADER = "num_params,num_tokens,frequency,seed,fact_set,correct,num_questions,num_choices,note"
ROW = "49k,1e6,16,0,prior,60,100,4,by hand"


def table(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_what_was_written_is_read_again(workspace: Workspace) -> None:
    drawn = simulate(truth(), 0)
    folder = write_sweep(drawn, [row_of(o) for o in drawn], "again", workspace, simulated=True, replace=False)
    assert sorted(read_imported(folder)) == sorted(drawn)
    plan = read_plan(folder.plan)
    assert plan is not None
    assert plan.simulated
    assert not plan.imported


@pytest.mark.parametrize(
    ("header", "row", "retention", "correct"),
    [
        (HEADER, ROW, (0.6 - 0.25) / 0.75, 60),
        ("num_params,num_tokens,frequency,seed,accuracy,num_questions,num_choices", "1,1,0,0,0.6,100,4", 7 / 15, 60),
        ("num_params,num_tokens,frequency,seed,retention", "1.5B,100B,0,0,-0.05", -0.05, None),
    ],
)
def test_the_three_kinds_of_row(
    tmp_path: Path, workspace: Workspace, header: str, row: str, retention: float, correct: int | None
) -> None:
    (found,) = read_imported(import_table(table(tmp_path, row, header=header), "mine", workspace))
    assert found.retention == pytest.approx(retention)
    assert found.correct == correct


def test_numbers_as_people_write_them(tmp_path: Path, workspace: Workspace) -> None:
    (found,) = read_imported(import_table(table(tmp_path, ROW), "mine", workspace))
    assert (found.condition.num_params, found.condition.num_tokens, found.frequency) == (49_000, 1_000_000, 16)


def test_unknown_columns_are_kept(tmp_path: Path, workspace: Workspace) -> None:
    import pyarrow.parquet as pq

    folder = import_table(table(tmp_path, ROW), "mine", workspace)
    assert pq.read_table(folder.results).column("note").to_pylist() == ["by hand"]


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        ("49k,1e6,16,0,prior,101,100,4,", "correct", "more than num_questions"),
        ("many,1e6,16,0,prior,60,100,4,", "num_params", "many"),
        (",1e6,16,0,prior,60,100,4,", "num_params", "missing"),
        ("49k,1e6,-3,0,prior,60,100,4,", "frequency", ""),
        ("49k,1e6,16,0,later,60,100,4,", "fact_set", "no such fact set"),
        ("49k,1e6,16,0,prior,,,,", "", "no result"),
        ("49k,1e6,16,0,prior,60,100,1,", "num_choices", "two choices"),
        (ROW, "frequency, seed, fact_set", "line 2"),
    ],
)
def test_a_bad_row_is_refused_and_nothing_kept(
    tmp_path: Path, workspace: Workspace, row: str, key: str, words: str
) -> None:
    with pytest.raises(DataError) as refused:
        import_table(table(tmp_path, ROW, row), "mine", workspace)
    error = refused.value
    assert "line 3" in (error.where or "")
    assert error.key == key
    assert words in str(error)
    assert list(workspace.sweep("mine").root.parent.iterdir()) == []


def test_a_name_is_replaced_only_on_request(tmp_path: Path, workspace: Workspace) -> None:
    import_table(table(tmp_path, ROW), "mine", workspace)
    with pytest.raises(DataError, match="--replace"):
        import_table(table(tmp_path, ROW.replace("60", "70")), "mine", workspace)
    folder = import_table(table(tmp_path, ROW.replace("60", "70")), "mine", workspace, replace=True)
    assert correct_of(read_imported(folder)) == [70]
    assert [p.name for p in folder.root.parent.iterdir()] == ["mine"]


def test_a_missing_column_names_what_is_needed(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(KituiError, match="seed"):
        import_table(table(tmp_path, "1,1,1", header="num_params,num_tokens,frequency"), "mine", workspace)


def correct_of(observations: list[Observation]) -> list[int | None]:
    return [o.correct for o in observations]
