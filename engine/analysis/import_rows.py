"""Rows of importable tables: from a row to observations, or a collapse point that was found elsewhere, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from engine.analysis.collapse import Collapse
from engine.analysis.curves import Observation
from engine.analysis.given_points import POINT_COLUMN, bound, given_collapse
from engine.errors import DataError
from engine.records.conditions import Condition
from engine.records.metrics import retention_of
from engine.spec import fact_sets
from engine.spec.axes import OTHER_AXES
from engine.spec.numbers import parse_count, parse_number, parse_seed

MEASURES = "correct, num_questions and num_choices; or accuracy, num_questions and num_choices; or retention"
"""What a row's result may be given as, in words."""
_MEASURE_COLUMNS = ("correct", "accuracy", "retention")


def given_point(path: Path, line: int, row: dict[str, Any]) -> Collapse:
    row = {"num_tokens": 1} | row  # a law in N alone needs none
    try:
        return given_collapse(_condition(_reader(path, line, row)), lambda column: bound(row.get(column)))
    except ValueError as error:
        raise DataError(f"{error}.", where=f"{path}, line {line}", key=POINT_COLUMN) from None


def row_of(observation: Observation) -> dict[str, Any]:
    """The observation as a row of an importable table."""
    condition = {name: value for name, value in observation.condition.by_field().items() if value is not None}
    row = condition | {"frequency": observation.frequency, "seed": observation.seed, "fact_set": observation.fact_set}
    known = {"prior_exposures": observation.prior_exposures, "infused_share": observation.infused_share}
    row |= {name: value for name, value in known.items() if value is not None}
    if observation.correct is None:
        return row | {"retention": observation.retention}
    return row | {
        "correct": observation.correct,
        "num_questions": observation.num_questions,
        "num_choices": observation.num_choices,
    }


def observations_of(path: Path, line: int, row: dict[str, Any]) -> list[Observation]:
    """What a row says: of the one fact set that it is of, or of each that has a column of retentions; nothing where no
    measure has a value."""
    if not _is_empty(row, _MEASURE_COLUMNS):
        return [_observation(path, line, row)]
    return [
        _observation(path, line, row | {"fact_set": fact_set, "retention": row[fact_set]})
        for fact_set in fact_sets.NAMES
        if not _is_empty(row, (fact_set,))
    ]


def _is_empty(row: dict[str, Any], columns: Iterable[str]) -> bool:
    """Whether there is no value in any of these columns; tables of crashed runs have nothing or NaN there."""
    return all(str(row.get(column)).strip().lower() in ("none", "", "nan", "null") for column in columns)


class _Read(Protocol):
    """Reads one column of a row; None where it is empty."""

    def __call__(self, column: str, parse: Callable[[Any], Any], *, required: bool = False) -> Any: ...


def _reader(path: Path, line: int, row: dict[str, Any]) -> _Read:
    where = f"{path}, line {line}"

    def read(column: str, parse: Callable[[Any], Any], *, required: bool = False) -> Any:
        value = row.get(column)
        if value is None or (isinstance(value, str) and not value.strip()):
            if required:
                raise DataError("this value is missing.", where=where, key=column)
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise DataError(f"{error}.", where=where, key=column, value=value) from None

    return read


def _text(value: Any) -> str:
    return str(value).strip()


def _condition(read: _Read) -> Condition:
    """All that a row says of the condition of its curve."""
    return Condition(
        num_params=read("num_params", _positive, required=True),
        num_params_total=read("num_params_total", _positive),
        num_tokens=read("num_tokens", _positive, required=True),
        templates=read("templates", _positive),
        fill=read("fill", _text),
        stages=read("stages", _text),
        mixture=read("mixture", _text),
        num_infused_facts=read("num_infused_facts", _positive),
        ceiling_frequency=read("ceiling_frequency", _above_zero),
        other_axes={axis.field: value for axis in OTHER_AXES if (value := read(axis.field, parse_number)) is not None},
    )


def _observation(path: Path, line: int, row: dict[str, Any]) -> Observation:
    where, read = f"{path}, line {line}", _reader(path, line, row)
    fact_set = read("fact_set", _text) or ""
    if fact_set and fact_set not in fact_sets.NAMES:
        raise DataError(
            "no such fact set.",
            where=where,
            key="fact_set",
            value=fact_set,
            mend=f"Known: {', '.join(fact_sets.NAMES)}, or empty.",
        )
    num_questions, num_choices = read("num_questions", _positive), read("num_choices", parse_number)
    correct, accuracy, retention = read("correct", parse_count), read("accuracy", _share), read("retention", _retention)
    if (correct is not None or accuracy is not None) and num_questions and num_choices:
        if num_choices < 2:
            raise DataError("expected two choices or more.", where=where, key="num_choices", value=num_choices)
        correct = round(accuracy * num_questions) if correct is None else correct
        if correct > num_questions:
            raise DataError(f"more than num_questions = {num_questions}.", where=where, key="correct", value=correct)
        retention = retention_of(correct / num_questions, num_choices)
    elif retention is None:
        raise DataError("this row has no result.", where=where, mend=f"A row has {MEASURES}.")
    else:
        correct = num_questions = num_choices = None
    return Observation(
        condition=_condition(read),
        frequency=read("frequency", _dose, required=True),
        seed=read("seed", parse_seed, required=True),
        fact_set=fact_set,
        retention=retention,
        correct=correct,
        num_questions=num_questions,
        num_choices=num_choices,
        prior_exposures=read("prior_exposures", _share_or_more),
        infused_share=read("infused_share", _share),
    )


def _dose(value: Any) -> int | float:
    """Zero or more; whole numbers stay whole."""
    number = parse_number(value)
    if number < 0:
        raise ValueError("expected zero or more")
    return number


def _positive(value: Any) -> int:
    number = parse_count(value)
    if number == 0:
        raise ValueError("expected a whole number above zero")
    return number


def _above_zero(value: Any) -> float:
    number = float(parse_number(value))
    if number <= 0:
        raise ValueError("expected a number above zero")
    return number


def _share_or_more(value: Any) -> float:
    number = float(parse_number(value))
    if number < 0:
        raise ValueError("expected zero or more")
    return number


def _share(value: Any) -> float:
    number = float(parse_number(value))
    if not 0 <= number <= 1:
        raise ValueError("expected a share between 0 and 1")
    return number


def _retention(value: Any) -> float:
    """A retention, or another measure that falls where memory falls: only where it falls is read off it."""
    number = float(parse_number(value))
    if number < -1:
        raise ValueError("expected a retention, −1 at least, or another measure above zero")
    return number
