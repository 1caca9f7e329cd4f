"""Numbers, durations and retention as people read them."""

from __future__ import annotations

import pytest

from kitui.services.format import counted, dose, dose_interval, duration, number, retention, size_of_bytes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (3_600, "1 h 0 min"),
        (90_000, "25 h 0 min"),
        (3 * 86_400, "3 days"),
        (None, "unknown"),
    ],
)
def test_durations(value: float | None, expected: str) -> None:
    assert duration(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, "1.00"), (0.934, ".93"), (0.0, ".00"), (-0.046, "-.05"), (-0.001, ".00"), (None, "–")]
)
def test_retention_has_two_digits(value: float | None, expected: str) -> None:
    assert retention(value) == expected


def test_doses_that_mean_never_or_always_are_not_spelled_out() -> None:
    assert (dose(3.13e-7), dose(48.26), dose(1e130), dose(None)) == ("<0.01", "48.3", ">1e+09", "–")
    assert dose_interval([5e-131, 2e130]) == "[<0.01, >1e+09]"
    assert dose_interval([None, 12.0]) == "[<, 12.0]"
    assert dose_interval(None) == "–"


def test_counts_and_sizes() -> None:
    assert (counted(1, "run"), counted(2_000, "run")) == ("1 run", "2,000 runs")
    assert size_of_bytes(0) == "0 B"
    assert size_of_bytes(5_000_000_000).startswith("5 GB")
    assert number(12_345.6) == "12,346"
