"""What all sections of a sweep file have in common: they are frozen, refuse unknown keys, and read numbers alike."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from engine.spec.numbers import parse_count, parse_number


def _number(value: Any) -> float:
    return float(parse_number(value))


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError("expected a share between 0 and 1")
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
Seed = Annotated[int, BeforeValidator(parse_count)]


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True)
