import pytest

from engine.records import forecast
from engine.records.plan import PlannedCell
from engine.spec.numbers import format_count


def cell(model: str, params: int, tokens: int = 1000) -> PlannedCell:
    return PlannedCell(
        run_id=f"{model}-{tokens}",
        model=model,
        num_params=params,
        num_params_total=2 * params,
        num_tokens=tokens,
        frequency=1,
        num_templates=1,
        seed=0,
        total_tokens=tokens,
        train_flops=6.0 * params * tokens,
        memory_bytes=1,
    )


def test_measured_models_by_their_rate_and_others_by_their_arithmetic() -> None:
    cells = [cell("small", 100), cell("large", 400)]
    cost = forecast.cost(cells, {"small": 50.0}, flops_per_s=6 * 100 * 50.0)
    assert cost is not None
    # small: 1000 tokens at 50 a second; large: four times the arithmetic.
    assert cost.slot_s == pytest.approx(20 + 80, rel=0.05)
    assert not cost.measured
    assert forecast.cost(cells[:1], {"small": 50.0}, None).measured
    assert forecast.cost(cells, {"small": 50.0}, None) is None


def test_the_last_run_bounds_the_end() -> None:
    cost = forecast.Cost(slot_s=100, longest_s=60, measured=True)
    assert forecast.eta_s(cost, 1) == 100
    assert forecast.eta_s(cost, 4) == 60


def test_counts_read_well() -> None:
    assert [format_count(n) for n in (48, 12_640, 99_960, 3e9, 0)] == ["48", "12.6k", "100k", "3B", "0"]


def test_an_eta_lies_within_its_spread_and_narrows_with_more_runs() -> None:
    few, many = forecast.Cost(100.0, 10.0, True, 4), forecast.Cost(2500.0, 10.0, True, 100)
    for cost in (few, many):
        low, high = forecast.eta_interval_s(cost, 2, 0.2)
        assert low < forecast.eta_s(cost, 2) < high
    narrow = forecast.eta_interval_s(many, 2, 0.2)
    wide = forecast.eta_interval_s(few, 2, 0.2)
    assert narrow[1] / narrow[0] < wide[1] / wide[0]
    low, high = forecast.eta_interval_s(few, 2, 0.0)
    assert low == high == forecast.eta_s(few, 2)
