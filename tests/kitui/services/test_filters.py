"""The filter language of run lists."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SpecError
from kitui.services.columns import ALIASES
from kitui.services.filters import completion, parse_filter

COLUMNS = ("params", "frequency", "state", "overall")
VALUES = {column: itemgetter(column) for column in COLUMNS}
ROW: dict[str, Any] = {"params": 49_000, "frequency": 64, "state": "running", "overall": None}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("params>10k and frequency>=64 and state=running", True),
        ("params > 1M", False),
        ("not params > 1M", True),
        ("state = done or frequency = 64", True),
        ("state=done or (frequency=64 and params<1e3)", False),
        ('state ~ "run"', True),
        ("state != done", True),
        ("overall > 0", False),
        ("overall != 0.5", True),
        ("frequency=64 AND state=Running", True),
        ("F=64 and N>10k", True),
        ("R > 0", False),
    ],
)
def test_what_an_expression_keeps(expression: str, expected: bool) -> None:
    assert parse_filter(expression, VALUES, ALIASES)(ROW) is expected


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("parms > 1", "Did you mean params"),
        ("params >", "end"),
        ("params > 1 frequency", "and, or"),
        ("(params > 1", r"\)"),
        ("params >> 1", "."),
        ("", "."),
    ],
)
def test_what_is_wrong_is_pointed_at(expression: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        parse_filter(expression, VALUES, ALIASES)


@given(st.text(max_size=30))
def test_any_text_is_a_filter_or_a_clear_error(text: str) -> None:
    refused = None
    try:
        keep = parse_filter(text, VALUES, ALIASES)
    except SpecError as error:
        refused = str(error)
    assert refused or isinstance(keep(ROW), bool)


@given(st.integers(0, 10**6), st.sampled_from(["<", "<=", ">", ">=", "=", "!="]))
def test_comparisons_are_those_of_numbers(value: int, sign: str) -> None:
    expected = {"=": value == 64, "!=": value != 64}.get(sign)
    if expected is None:
        expected = bool(eval(f"64 {sign} {value}"))
    assert parse_filter(f"frequency {sign} {value}", VALUES, ALIASES)(ROW) is expected


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("par", "params"),
        ("params>1M and fre", "params>1M and frequency"),
        ("state=run", "state=running"),
        ("state=running an", "state=running and"),
        ("not ove", "not overall"),
        ("(sta", "(state"),
        ("", None),
        ("zzz", None),
        ("params>1M and ", None),
    ],
)
def test_a_word_is_completed(typed: str, completed: str | None) -> None:
    assert completion(typed, COLUMNS, {"state": ("done", "running")}) == completed


@pytest.mark.parametrize(
    ("expression", "kept"),
    [("run", True), ("'RUNN'", True), ("zzz", False), ("not zzz", True), ("zzz or params>0", True), ("(run)", True)],
)
def test_a_word_alone_is_looked_for_in_the_names(expression: str, kept: bool) -> None:
    assert parse_filter(expression, VALUES, ALIASES, names=("state",))(ROW) is kept


def test_a_word_before_a_mistake_is_told_as_a_mistake() -> None:
    with pytest.raises(SpecError, match="no column 'parms'"):
        parse_filter("parms>1", VALUES, ALIASES, names=("state",))
