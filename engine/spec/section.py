"""What all sections of a sweep file have in common: they are frozen, refuse unknown keys, and read numbers alike."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from engine.spec.numbers import parse_count, parse_number, parse_seed


def _number(value: Any) -> float:
    return float(parse_number(value))


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError("expected a share between 0 and 1")
    return value


def up_to(most: int) -> AfterValidator:
    """A bound of a setting: what is more is a slip of the pen, and would only fail later."""

    def check(value: int) -> int:
        if value > most:
            raise ValueError(f"expected at most {most:,}")
        return value

    return AfterValidator(check)


def _share_below_one(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError("expected a share between 0 and 1, below 1")
    return value


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("expected a number, zero or more")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("there are characters in it that cannot be printed")
    return value


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("expected a number above zero")
    return value


Count = Annotated[int, BeforeValidator(parse_count)]
PositiveCount = Annotated[int, BeforeValidator(parse_count), AfterValidator(_positive)]
Number = Annotated[float, BeforeValidator(_number)]
PositiveNumber = Annotated[float, BeforeValidator(_number), AfterValidator(_positive)]
Share = Annotated[float, BeforeValidator(_number), AfterValidator(_share)]
NonNegativeNumber = Annotated[float, BeforeValidator(_number), AfterValidator(_not_negative)]
ShareBelowOne = Annotated[float, BeforeValidator(_number), AfterValidator(_share_below_one)]
Text = Annotated[str, AfterValidator(_printable)]
"""Names and paths."""
Seed = Annotated[int, BeforeValidator(parse_seed)]


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True)
