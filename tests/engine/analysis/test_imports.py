"""Imported tables: what is accepted, what is refused and how, and that nothing half-read is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.analysis.curves import Observation
from engine.analysis.import_rows import row_of
from engine.analysis.imports import import_table, read_imported, write_sweep
from engine.analysis.simulate import simulate
from engine.errors import DataError, KituiError, SpecError
from engine.records.plan import read_plan
from engine.records.workspace import Workspace
from tests.engine.analysis.conftest import points, truth

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
    (found,) = read_imported(import_table(table(tmp_path, row, header=header), "mine", workspace).folder)
    assert found.retention == pytest.approx(retention)
    assert found.correct == correct


def test_numbers_as_people_write_them(tmp_path: Path, workspace: Workspace) -> None:
    (found,) = read_imported(import_table(table(tmp_path, ROW), "mine", workspace).folder)
    assert (found.condition.num_params, found.condition.num_tokens, found.frequency) == (49_000, 1_000_000, 16)


def test_unknown_columns_are_kept(tmp_path: Path, workspace: Workspace) -> None:
    import pyarrow.parquet as pq

    folder = import_table(table(tmp_path, ROW), "mine", workspace).folder
    assert pq.read_table(folder.results).column("note").to_pylist() == ["by hand"]


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        ("49k,1e6,16,0,prior,101,100,4,", "correct", "more than num_questions"),
        ("many,1e6,16,0,prior,60,100,4,", "num_params", "many"),
        (",1e6,16,0,prior,60,100,4,", "num_params", "missing"),
        ("49k,1e6,-3,0,prior,60,100,4,", "frequency", ""),
        ("49k,1e6,16,0,later,60,100,4,", "fact_set", "no such fact set"),
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
    folder = import_table(table(tmp_path, ROW.replace("60", "70")), "mine", workspace, replace=True).folder
    assert correct_of(read_imported(folder)) == [70]
    assert [p.name for p in folder.root.parent.iterdir()] == ["mine"]


def test_a_missing_column_names_what_is_needed(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(KituiError, match="frequency missing"):
        import_table(table(tmp_path, "1,1,1", header="num_params,num_tokens,seed"), "mine", workspace)


def test_a_dose_response_table_of_one_size_needs_no_columns_for_what_is_alike(
    tmp_path: Path, workspace: Workspace
) -> None:
    """Rows at one dose are repetitions; the size and the budget are given once."""
    text = table(tmp_path, "0,7.6", "0,8.0", "0.94,8.4", "0.94,6.9", header="conc,length")
    columns = {"frequency": "conc", "retention": "length", "num_params": "1k", "num_tokens": "1M"}
    observations = read_imported(import_table(text, "mine", workspace, columns=columns).folder)
    assert [(o.frequency, o.seed) for o in observations] == [(0, 0), (0, 1), (0.94, 0), (0.94, 1)]
    assert {(o.condition.num_params, o.condition.num_tokens) for o in observations} == {(1_000, 1_000_000)}
    with pytest.raises(KituiError, match="no such column"):
        import_table(text, "other", workspace, columns=columns | {"retention": "lenght"})


def correct_of(observations: list[Observation]) -> list[int | None]:
    return [o.correct for o in observations]


def test_columns_of_other_names_are_mapped(tmp_path: Path, workspace: Workspace) -> None:
    """As trackers export them: settings and summaries under names of their own."""
    header = "Name,config.num_params,config.D,config.F,config.seed,summary.correct,summary.asked,summary.k"
    names = ("num_params=config.num_params", "num_tokens=config.D", "frequency=config.F", "seed=config.seed",
             "correct=summary.correct", "num_questions=summary.asked", "num_choices=summary.k")  # fmt: skip
    columns = dict(name.split("=") for name in names)
    path = table(tmp_path, "run-1,49k,1M,16,0,60,100,4", header=header)
    (found,) = read_imported(import_table(path, "mine", workspace, columns=columns).folder)
    assert (found.condition.num_params, found.frequency, found.correct) == (49_000, 16, 60)
    with pytest.raises(SpecError, match="no such column") as caught:
        import_table(path, "other", workspace, columns=columns | {"fill": "config.fill"})
    assert (caught.value.key, caught.value.value) == ("--map", "'fill=config.fill'")


def test_a_column_for_each_fact_set_and_rows_of_crashed_runs(tmp_path: Path, workspace: Workspace) -> None:
    header = "num_params,num_tokens,frequency,seed,prior,infused"
    path = table(tmp_path, "1k,1M,4,0,0.9,0.2", "1k,1M,4,1,,nan", "1k,1M,8,0,0.8,", header=header)
    imported = import_table(path, "mine", workspace)
    assert (imported.num_rows, imported.num_empty) == (2, 1)
    found = {(o.frequency, o.fact_set): o.retention for o in read_imported(imported.folder)}
    assert found == {(4, "prior"): 0.9, (4, "infused"): 0.2, (8, "prior"): 0.8}
    with pytest.raises(DataError, match="no row has a result"):
        import_table(table(tmp_path, "1k,1M,4,1,,", header=header), "none", workspace)


def test_semicolons_decimal_commas_and_doses_that_are_no_whole_numbers(tmp_path: Path, workspace: Workspace) -> None:
    header = "num_params;num_tokens;frequency;seed;retention"
    path = table(tmp_path, "1000;1000;0,32;0;7,58", "1000;1000;10;0;1,5", header=header)
    found = read_imported(import_table(path, "mine", workspace).folder)
    assert [(o.frequency, o.retention) for o in found] == [(0.32, 7.58), (10, 1.5)]


def test_where_another_measure_falls_does_not_hang_on_its_unit() -> None:
    bare = [o._replace(correct=None) for o in simulate(truth(num_questions=2_000), 3) if o.fact_set == "prior"]
    (in_shares,) = points([o._replace(retention=o.retention * 3) for o in bare], "prior")
    (in_units,) = points([o._replace(retention=o.retention * 12) for o in bare], "prior")
    assert in_shares.collapse_frequency is not None
    assert in_units.collapse_frequency == pytest.approx(in_shares.collapse_frequency, rel=0.02)
