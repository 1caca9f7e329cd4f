"""Every column of runs and cells: what it reads of a row, and how it stands in a table."""

from __future__ import annotations

import pytest

from engine.errors import SpecError
from engine.records import measures
from engine.records.states import RunStatus
from engine.spec import fact_sets
from engine.spec.axes import OTHER_AXES
from kitui.services.columns import (
    ALIASES,
    CELL_VALUES,
    COLUMNS,
    RUN_VALUES,
    Column,
    row_json,
    sorted_rows,
    table_columns,
)
from kitui.services.rows import Cells, RunRow

FURTHER = [measure.column(name) for measure in measures.FURTHER for name in fact_sets.ASKED]
SCORES = dict.fromkeys([*fact_sets.NAMES, *FURTHER], 0.5)
NOT_GIVEN = {"loss", "reason"}  # to the runs below


def row(seed: int = 0, status: RunStatus = RunStatus.DONE, frequency: int = 4, num_tokens: int = 300_000) -> RunRow:
    return RunRow(
        run_id=f"nano-7k-f{frequency}-s{seed}", model="nano-7k", params=7_000, frequency=frequency,
        num_tokens=num_tokens, total_tokens=num_tokens, templates=1, seed=seed, status=status, attempt=1,
        progress=0.25 if status is RunStatus.RUNNING else 1.0, scores=SCORES, prior_exposures=3.0,
        background_loss=5.0, background_epochs=0.5, tokens_per_s=9_000.0, elapsed_s=30.0, host="local",
        other_axes={axis.field: 1 for axis in OTHER_AXES},
    )  # fmt: skip


RUNS = [row(0), row(1), row(2, RunStatus.RUNNING)]
CELL = Cells().of(RUNS)[0]


def keys(columns: list[Column]) -> list[str]:
    return [column.key for column in columns]


def test_no_two_columns_have_one_key() -> None:
    assert len({column.key for column in COLUMNS}) == len(COLUMNS)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.key)
def test_each_column_reads_what_it_can_of_a_row(column: Column) -> None:
    """A value that rows sort by, and a text with something in it where it stands in a table."""
    assert column.run is not None or column.cell is not None
    for rows, get, view in (
        (RUNS, column.run, column.run_view),
        ([CELL], column.cell, column.cell_view),
    ):
        if get is None:
            assert view is None
            continue
        if column.key not in NOT_GIVEN:
            assert all(get(one) not in (None, "") for one in rows)
        values = RUN_VALUES if get is column.run else CELL_VALUES
        assert values[column.key] is get
        assert len(sorted_rows(rows, f"-{column.key}", values)) == len(rows)
        if view is not None:
            text = view.text(rows[-1])
            assert text.strip()
            assert len(text) <= max(view.width, len("✓2 ▶1"))


def test_what_columns_say_of_a_run_and_of_a_cell() -> None:
    run = {c.key: c.run_view.text(RUNS[2]) for c in COLUMNS if c.run_view is not None}
    cell = {c.key: c.cell_view.text(CELL) for c in COLUMNS if c.cell_view is not None}
    assert (run["params"], run["num_tokens"], run["state"], run["progress"]) == ("nano-7k", "300k", "▶ running", "25")
    assert (run["overall"], cell["overall"]) == (".50", ".50 ±.00")
    assert (cell["n"], cell["state"]) == ("2/3", "✓2 ▶1")


def test_aliases_name_columns_of_runs_and_cells() -> None:
    assert {ALIASES[name] for name in ("N", "F", "D", "T", "R")} == {
        "params", "frequency", "num_tokens", "templates", "overall",
    }  # fmt: skip
    for alias, key in ALIASES.items():
        assert key in RUN_VALUES
        assert key in CELL_VALUES
        assert alias not in RUN_VALUES, f"{alias} is a column of its own"


def test_axes_that_all_rows_agree_in_take_no_room() -> None:
    alike = keys(table_columns(RUNS, by_cell=False))
    assert {"params", "frequency", "seed"} <= set(alike)
    assert not {"num_tokens", "templates"} & set(alike)
    budgets = [row(), row(num_tokens=96_000)]
    assert set(keys(table_columns(budgets, by_cell=False))) - set(alike) == {"num_tokens"}
    cells = keys(table_columns(Cells().of(budgets), by_cell=True))
    assert "num_tokens" in cells
    assert "n" in cells
    assert not {"seed", "templates", "progress"} & set(cells)


def test_rows_in_json_have_every_column() -> None:
    assert list(row_json(RUNS[0])) == list(RUN_VALUES)
    assert list(row_json(CELL)) == [*CELL_VALUES, "run_ids"]
    assert row_json(CELL)["run_ids"] == [run.run_id for run in RUNS]


def test_no_such_column_to_sort_by() -> None:
    with pytest.raises(SpecError, match="Did you mean frequency"):
        sorted_rows(RUNS, "-freqency", RUN_VALUES)
