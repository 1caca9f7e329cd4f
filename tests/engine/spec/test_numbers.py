import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spec.numbers import format_count, parse_axis, parse_count, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e9", 3e9),
        ("3B", 3e9),
        ("137M", 137e6),
        ("100k", 100e3),
        ("2.3M", 2_300_000),
        ("1_000", 1000),
        (".5", 0.5),
        ("-2", -2),
    ],
)
def test_numbers_as_people_write_them(text: str, value: float) -> None:
    assert parse_number(text) == value


def test_a_suffix_makes_a_whole_number() -> None:
    assert isinstance(parse_number("2.3M"), int)
    assert isinstance(parse_number(3e5), int)
    assert isinstance(parse_number("0.25"), float)


@pytest.mark.parametrize("bad", ["", "abc", "3 4", True, None, [1], float("nan"), float("inf"), "1e999"])
def test_what_is_not_a_number_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_number(bad)


def test_counts_are_whole_and_not_negative() -> None:
    assert parse_count("100k") == 100_000
    for bad in ("1.5", -1):
        with pytest.raises(ValueError, match="whole number"):
            parse_count(bad)


def test_expressions() -> None:
    assert parse_axis("geom(1, 512, 10)") == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert parse_axis("linspace(0, 100, 5)") == [0, 25, 50, 75, 100]
    assert parse_axis("range(0, 10, 3)") == [0, 3, 6, 9]
    assert parse_axis([0, "geom(1, 8, 4)", 100]) == [0, 1, 2, 4, 8, 100]
    assert parse_axis(["10B", "100B"]) == [10_000_000_000, 100_000_000_000]


def test_equal_values_stand_once() -> None:
    assert parse_axis("geom(1, 4, 10)") == [1, 2, 3, 4]
    assert parse_axis([5, 5, "5"]) == [5]


@pytest.mark.parametrize(
    "bad",
    [
        "geom(0, 8, 3)",
        "geom(1, 8)",
        "lin(1, 2, 3)",
        "range(1, 5, 0)",
        "range(1.5)",
        "linspace(1, 2, x)",
        "geom(1,2,1e9)",
    ],
)
def test_bad_expressions_say_what_is_wrong(bad: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        parse_axis(bad)


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.integers(2, 40))
def test_geom_has_both_ends_and_one_ratio(first: float, last: float, num: int) -> None:
    values = parse_axis(f"geom({first!r}, {last!r}, {num})")
    whole = all(isinstance(parse_number(repr(end)), int) for end in (first, last))  # then counts are rounded
    assert math.isclose(values[0], round(first) if whole else first, rel_tol=1e-9)
    logs = [math.log(v) for v in values]
    if len(values) == num and not whole:
        steps = [b - a for a, b in itertools.pairwise(logs)]
        assert max(steps) - min(steps) < 1e-6


@given(st.integers(0, 10**13))
def test_shown_counts_are_within_half_a_percent(number: int) -> None:
    shown = float(parse_number(format_count(number)))
    assert abs(shown - number) <= 0.005 * number + 1e-9


def test_a_small_number_stays_what_it_is() -> None:
    assert parse_number("1e-10") == 1e-10
    assert parse_axis("geom(1e-12, 1e-10, 3)") == pytest.approx([1e-12, 1e-11, 1e-10], rel=1e-9)
