"""The law of losses: known ones are found, outlying points are named, and what cannot be told apart is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.analysis import loss_law as module
from engine.analysis.loss_law import Losses, LossPoint, loss_law, read_losses
from engine.errors import DataError, SpecError

# Published (Besiroglu et al. 2024, table 1, before rounding: ln A, ln B, ln E, alpha, beta).
TRUTH = np.array([6.16925, 7.67016, 0.59731, 0.34731, 0.36717])


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NUM_RESAMPLES", 60)


def drawn(error: float = 0.0, *, tokens_per_param: float | None = None) -> list[LossPoint]:
    rng, points = np.random.default_rng(1), []
    for size in np.geomspace(5e7, 1.5e10, 9):
        for budget in np.geomspace(1e9, 3e11, 7):
            tokens = size * tokens_per_param if tokens_per_param else budget
            log_a, log_b, log_e, alpha, beta = TRUTH
            loss = np.exp(log_e) + np.exp(log_a) / size**alpha + np.exp(log_b) / tokens**beta
            points.append(LossPoint(len(points) + 2, size, tokens, loss * np.exp(error * rng.standard_normal())))
    return points


def test_a_law_without_noise_is_found_exactly() -> None:
    found = loss_law("t", Losses(drawn(), 0)).law
    assert found is not None
    values = [found.parameters[name].value for name in ("A", "B", "E", "alpha", "beta")]
    assert values == pytest.approx([*np.exp(TRUTH[:3]), *TRUTH[3:]], rel=1e-3)
    assert found.parameters["optimal_params_exponent"].value == pytest.approx(0.36717 / (0.34731 + 0.36717), rel=1e-3)


def test_intervals_hold_the_truth_and_the_largest_size_is_predicted() -> None:
    document = loss_law("t", Losses(drawn(0.005), 0))
    assert document.law is not None
    assert document.without_outliers is None
    for name, truth in zip(("alpha", "beta", "E"), (*TRUTH[3:], np.exp(TRUTH[2])), strict=True):
        low, high = document.law.parameters[name].interval
        assert low is not None
        assert high is not None
        assert low < truth < high
    check = document.law.leave_largest_out
    assert check is not None
    assert check.num_points == 7
    assert abs(check.mean_error_ln) < 0.02


def test_points_far_from_all_others_are_named_and_the_law_without_them_stands_beside() -> None:
    points = drawn(0.002)
    for index in (3, 40):
        points[index] = points[index]._replace(loss=points[index].loss * 1.3)
    document = loss_law("t", Losses(points, 0))
    assert document.outlying_lines == (5, 42)
    assert document.law is not None
    assert document.without_outliers is not None
    assert (document.law.num_points, document.without_outliers.num_points) == (63, 61)
    assert document.law.largest_error > 0.2 > 0.02 > document.without_outliers.largest_error


def test_what_points_cannot_tell_is_refused_in_words() -> None:
    assert "cannot carry 5 coefficients" in str(loss_law("t", Losses(drawn()[:4], 0)).reason)
    assert "D = kN" in str(loss_law("t", Losses(drawn(tokens_per_param=20), 0)).reason)
    one_budget = [p._replace(num_tokens=1e9) for p in drawn()]
    assert "token budgets: 1;" in str(loss_law("t", Losses(one_budget, 0)).reason)
    rounded = [p._replace(num_tokens=1e9 * (1 + 1e-4 * i)) for i, p in enumerate(drawn())]
    assert "token budgets: 1;" in str(loss_law("t", Losses(rounded, 0)).reason)
    one_compute = [p._replace(num_tokens=1e19 / p.num_params) for p in drawn()]
    assert "one compute budget" in str(loss_law("t", Losses(one_compute, 0)).reason)
    flat = [p._replace(loss=2.5) for p in drawn()]
    assert "no fall of the loss with size or budget" in str(loss_law("t", Losses(flat, 0)).reason)


def test_tables_may_have_compute_in_place_of_tokens_other_names_and_crashed_runs(tmp_path: Path) -> None:
    table = tmp_path / "runs.csv"
    table.write_text("Model Size,Training FLOP,loss\n1e9,6e18,3.5\n2e9,1.2e19,\n")
    found = read_losses(table, {"num_params": "Model Size", "flops": "Training FLOP"})
    assert found == Losses([LossPoint(2, 1e9, 1e9, 3.5)], 1)
    table.write_text("num_params,num_tokens,flops,loss\n1e9,2e9,1e30,3.5\n")
    assert read_losses(table).points == [LossPoint(2, 1e9, 2e9, 3.5)]  # what is told is not worked out
    table.write_text("num_params,loss\n1e9,3.5\n")
    assert read_losses(table, {"num_tokens": "2B"}).points == [LossPoint(2, 1e9, 2e9, 3.5)]
    for wrong in ({"loss": "los"}, {"los": "loss"}):
        with pytest.raises(SpecError, match="--map"):
            read_losses(table, wrong)


def test_every_bad_row_is_named(tmp_path: Path) -> None:
    table = tmp_path / "runs.csv"
    table.write_text("num_params,num_tokens,loss\n1e9,x,3.5\n-2,1e9,3\n1e9,1e9,inf\n")
    with pytest.raises(DataError) as error:
        read_losses(table)
    for words in ("line 2", "num_tokens", "line 3", "num_params", "line 4", "loss"):
        assert words in str(error.value)
