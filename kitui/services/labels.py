"""How places of a grid are named: by their size, and by whatever else differs between those that are shown."""

from __future__ import annotations

from collections.abc import Collection

from engine.records.conditions import Condition
from engine.spec.axes import differing_axes
from engine.spec.numbers import format_count


def condition_label(condition: Condition, among: Collection[Condition]) -> str:
    """The size, and whatever else differs between the curves shown."""
    others = [axis.named(axis.of(condition)) for axis in differing_axes(among)]
    return " ".join([format_count(condition.num_params), *others])
