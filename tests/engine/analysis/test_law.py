"""The law: classical regression where points are exact, censored points, forms, refusals, predictions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress
from scipy.stats import t as student_t

from engine.analysis.law import fit_law
from engine.analysis.law_fit import parameters, predict, residuals
from engine.analysis.law_points import LawPoint, Profile
from engine.errors import FitError

SIZES = [7e3, 13e3, 28e3, 49e3, 78e3, 150e3]


def point(
    size: float, frequency: float | None, *, tokens: float = 300e3, ceiling: float | None = None, width: float = 0.02
) -> LawPoint:
    """A collapse point known to within `width` (in ln F), or with None one beyond the last dose, 200."""
    grid = np.linspace(np.log(0.5), np.log(200), 401)
    if frequency is None:
        return LawPoint(size, tokens, Profile(grid, np.full(len(grid), -50.0), -50.0, 0.0), None, ceiling)
    loglik = np.maximum(-0.5 * ((grid - np.log(frequency)) / width) ** 2, -50.0)
    return LawPoint(size, tokens, Profile(grid, loglik, -50.0, -50.0), float(np.log(frequency)), ceiling)


def noisy(exponent: float, sd: float, seed: int = 0) -> list[tuple[float, float]]:
    rng = np.random.default_rng(seed)
    return [(n, 50 * (n / 40e3) ** exponent * float(np.exp(sd * rng.standard_normal()))) for n in SIZES]


def test_exact_points_give_the_classical_regression_and_its_t_interval() -> None:
    rows = noisy(0.4, 0.15)
    result = fit_law([point(n, f) for n, f in rows])
    assert result.law is not None
    x, y = np.log([r[0] for r in rows]), np.log([r[1] for r in rows])
    classical = linregress(x, y)
    slope = parameters(result.law)["exponent_params"]
    half = float(student_t.ppf(0.975, 4)) * classical.stderr
    assert slope.value == pytest.approx(classical.slope, abs=0.005)
    assert slope.interval == pytest.approx((classical.slope - half, classical.slope + half), abs=0.02)

    expected_residuals = y - classical.intercept - classical.slope * x
    assert [residual for _, residual in residuals(result.law)] == pytest.approx(expected_residuals, abs=0.02)

    target = np.log(400e3)
    residual = np.sqrt(((y - classical.intercept - classical.slope * x) ** 2).sum() / 4)
    spread = residual * np.sqrt(1 + 1 / 6 + (target - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    centre = classical.intercept + classical.slope * target
    prediction = predict(result.law, 400e3, 300e3)
    assert np.log(prediction.frequency) == pytest.approx(centre, abs=0.02)
    expected = centre + float(student_t.ppf(0.975, 4)) * spread * np.array([-1, 1])
    assert np.log(prediction.interval) == pytest.approx(expected, abs=0.06)
    assert prediction.extrapolation == pytest.approx(400e3 / 150e3)


def test_falling_laws_are_found_too() -> None:
    law = fit_law([point(n, f) for n, f in noisy(-0.7, 0.02)]).law
    assert law is not None
    assert parameters(law)["exponent_params"].value == pytest.approx(-0.7, abs=0.05)


@pytest.mark.parametrize("observed", [0, 1, 2])
def test_under_three_observed_sizes_there_is_no_law(observed: int) -> None:
    rows = [point(n, 30.0 if i < observed else None) for i, n in enumerate(SIZES)]
    result = fit_law(rows)
    assert result.law is None
    assert result.reason is not None
    assert "3 model sizes or more" in result.reason
    assert str(observed) in result.reason


def test_a_size_that_did_not_collapse_pulls_the_law_up() -> None:
    rows = [point(n, 40.0) for n in SIZES[:4]]
    without = fit_law(rows).law
    with_censored = fit_law([*rows, point(SIZES[5], None)]).law
    assert without is not None
    assert with_censored is not None
    assert predict(with_censored, 1e6, 300e3).frequency > 1.3 * predict(without, 1e6, 300e3).frequency
    assert with_censored.num_censored == 1


def test_uncertain_points_weigh_less() -> None:
    rows = [point(n, 40.0, width=0.02) for n in SIZES]
    wide = [*rows[:-1], point(SIZES[-1], 160.0, width=1.0)]
    sharp = [*rows[:-1], point(SIZES[-1], 160.0, width=0.02)]
    slopes = [parameters(fit_law(r).law)["exponent_params"].value for r in (wide, sharp)]  # type: ignore[arg-type]
    assert 0 <= slopes[0] < 0.5 * slopes[1]


def test_size_and_budget_are_told_apart_where_they_vary_apart() -> None:
    rng = np.random.default_rng(2)
    rows = [
        point(n, 0.4 * (n / 1e4) ** 0.3 * (d / 1e4) ** 0.9 * float(np.exp(0.03 * rng.standard_normal())), tokens=d)
        for n in SIZES
        for d in (100e3, 400e3)
    ]
    result = fit_law(rows)
    assert result.law is not None
    assert result.law.form.name == "power N and D"
    found = parameters(result.law)
    assert found["exponent_params"].value == pytest.approx(0.3, abs=0.06)
    assert found["exponent_tokens"].value == pytest.approx(0.9, abs=0.06)


def test_size_and_budget_tied_together_are_not() -> None:
    result = fit_law([point(n, 10 + n / 1e4, tokens=20 * n) for n in SIZES])
    assert result.law is not None
    assert "power N and D" not in [c.form for c in result.candidates]
    assert any("cannot be told apart" in w for w in result.warnings)


def test_a_share_of_the_ceiling_is_chosen_where_it_fits_better() -> None:
    ceiling = 150.0
    shares = 1 / (1 + np.exp(-(0.5 + 1.2 * np.log(np.array(SIZES) / 40e3))))
    rows = [point(n, float(ceiling * s), ceiling=ceiling) for n, s in zip(SIZES, shares, strict=True)]
    result = fit_law(rows)
    assert result.law is not None
    assert result.law.form.name == "bounded"
    assert predict(result.law, 1e9, 300e3, ceiling).frequency < ceiling
    with pytest.raises(FitError, match="needs the ceiling"):
        predict(result.law, 1e9, 300e3)


def test_the_largest_size_is_left_out_and_predicted() -> None:
    result = fit_law([point(n, f) for n, f in noisy(0.4, 0.03)])
    left = result.leave_largest_out
    assert left is not None
    assert left.num_params == SIZES[-1]
    assert left.error_ln == pytest.approx(np.log(left.predicted / left.observed))
    assert left.interval[0] < left.observed < left.interval[1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_prediction_intervals_cover_the_next_size() -> None:
    """Of 100 simulated sets of four sizes, as many hold the next size's point as a 95 % interval should."""
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(100 + seed)
        frequencies = [50 * (n / 40e3) ** 0.3 * float(np.exp(0.15 * rng.standard_normal())) for n in (*SIZES[1:5], 2e5)]
        law = fit_law([point(n, f) for n, f in zip(SIZES[1:5], frequencies, strict=False)]).law
        assert law is not None
        low, high = predict(law, 2e5, 300e3).interval
        covered += low <= frequencies[-1] <= high
    assert covered >= 88  # binom.ppf(1e-3, 100, 0.95) = 88


@pytest.mark.parametrize(("sizes_by", "budgets_by", "doses_by"), [(1e3, 1, 1), (1, 1e6, 1), (1, 1, 8.0)])
def test_sizes_budgets_and_doses_in_other_units_give_the_same_law(
    sizes_by: float, budgets_by: float, doses_by: float
) -> None:
    rows, shift = noisy(0.4, 0.15), float(np.log(doses_by))
    usual = [point(n, f) for n, f in rows]
    scaled = [
        one._replace(
            num_params=one.num_params * sizes_by,
            num_tokens=one.num_tokens * budgets_by,
            log_frequency=(one.log_frequency or 0.0) + shift,
            profile=one.profile._replace(log_frequency=one.profile.log_frequency + shift),
        )
        for one in usual
    ]
    first, second = fit_law(usual).law, fit_law(scaled).law
    assert first is not None
    assert second is not None
    slopes = [parameters(law)["exponent_params"] for law in (first, second)]
    assert slopes[1].value == pytest.approx(slopes[0].value, abs=1e-3)
    assert slopes[1].interval == pytest.approx(slopes[0].interval, abs=5e-3)
    predictions = [predict(first, 400e3, 300e3), predict(second, 400e3 * sizes_by, 300e3 * budgets_by)]
    assert predictions[1].frequency == pytest.approx(predictions[0].frequency * doses_by, rel=5e-3)
    assert predictions[1].interval == pytest.approx([end * doses_by for end in predictions[0].interval], rel=2e-2)
