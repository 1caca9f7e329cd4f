"""How places of a grid are named: by their size, and by whatever else differs between those that are shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from engine.records.conditions import Condition
from engine.spec.axes import differing_axes
from engine.spec.numbers import format_count

Names = Mapping[int, str]
"""Of sizes, by their N."""
NO_NAMES: Names = MappingProxyType({})


def size_label(num_params: float, names: Names = NO_NAMES) -> str:
    """Its name; its number where it has none."""
    return names.get(round(num_params), format_count(num_params))


def size_words(num_params: float, names: Names = NO_NAMES) -> str:
    """In a sentence: the name with the number beside it, or N = the number."""
    number = format_count(num_params)
    name = names.get(round(num_params))
    return f"{name} (N = {number})" if name else f"N = {number}"


def condition_label(condition: Condition, among: Collection[Condition], names: Names = NO_NAMES) -> str:
    """The size, and whatever else differs between the curves shown."""
    return " ".join([size_label(condition.num_params, names), *_others(condition, among)])


def condition_words(condition: Condition, among: Collection[Condition], names: Names = NO_NAMES) -> str:
    """The same in a sentence."""
    return ", ".join([size_words(condition.num_params, names), *_others(condition, among)])


def _others(condition: Condition, among: Collection[Condition]) -> list[str]:
    return [axis.named(axis.of(condition)) for axis in differing_axes(among)]
