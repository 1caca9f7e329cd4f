"""Runs as rows, and gathered into cells."""

from __future__ import annotations

import statistics

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.records.states import RunStatus
from kitui.services.columns import RUN_VALUES, sorted_rows
from kitui.services.rows import Cells, RunRow, mean_sd


def row(seed: int, overall: float | None, status: str = "done", frequency: int = 4) -> RunRow:
    return RunRow(
        run_id=f"run-f{frequency}-{seed}", model="nano-7k", params=7000, frequency=frequency, num_tokens=300_000,
        total_tokens=300_000, templates=1, seed=seed, status=RunStatus(status), attempt=1,
        scores={} if overall is None else {"overall": overall},
    )  # fmt: skip


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_mean_and_sd_are_those_of_statistics(values: list[float]) -> None:
    mean, sd = mean_sd([*values, None])
    assert mean is not None
    assert sd is not None
    assert abs(mean - statistics.fmean(values)) < 1e-9
    assert abs(sd - statistics.stdev(values)) < 1e-9


def test_a_cell_counts_only_what_is_final() -> None:
    rows = [row(0, 0.5), row(1, 0.7), row(2, 0.9, "running"), row(0, None, "queued", 8)]
    first, second = Cells().of(rows)
    assert (first.n, first.missing, first.state) == (2, 1, "2 done, 1 running")
    assert first.score("overall") == 0.6
    assert (second.n, second.missing, second.score("overall"), second.sds.get("overall")) == (0, 1, None, None)


def test_cells_whose_runs_are_the_same_objects_are_not_worked_out_again() -> None:
    cells = Cells()
    rows = [row(0, 0.5), row(1, 0.7), row(0, 0.1, "done", 8)]
    first = cells.of(rows)
    assert all(a is b for a, b in zip(first, cells.of(list(rows)), strict=True))
    rows[0] = msgspec.structs.replace(rows[0], scores={"overall": 0.9})
    again = cells.of(rows)
    assert again[0] is not first[0]
    assert again[0].score("overall") == 0.8
    assert again[1] is first[1]


def test_empty_values_come_last_either_way() -> None:
    rows = [row(0, None), row(1, 0.2), row(2, 0.8)]
    assert [r.seed for r in sorted_rows(rows, "overall", RUN_VALUES)] == [1, 2, 0]
    assert [r.seed for r in sorted_rows(rows, "-overall", RUN_VALUES)] == [2, 1, 0]
