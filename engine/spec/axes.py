"""The axes of a grid, each defined once: what it is called in sweep files, runs, filters, tables and the designer.

To add an axis that sets a field of a run's spec: a field of `Grid` (spec/sweep.py), a tuple that is empty unless it is
given, and an entry here; a new field of the spec stands in spec/runspec.py. What has no field of its own in plans,
conditions and rows is carried there by its name (`other_axes`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from engine.spec.numbers import format_count

AxisValue = int | float | str


class WithAxes(Protocol):
    """What has a place in a grid: a condition, a run's row, a cell of a plan."""

    @property
    def other_axes(self) -> Mapping[str, AxisValue]: ...


class Axis(NamedTuple):
    """One axis of the grid."""

    key: str
    """In the [grid] of a sweep file."""
    field: str
    """In plans, conditions, rows, filters and documents."""
    label: str
    """At the head of a table's column."""
    alias: str
    """In filters, beside `field`: as the papers call it."""
    title: str
    """In the designer: what its values are."""
    help: str
    """In the designer: how they are written."""
    in_condition: bool = True
    """Whether curves of different values are different curves."""
    separates_laws: bool = True
    """Whether such curves never share a law."""
    spec_field: str = ""
    """The field of a run's spec that it sets, where it has no field of its own in a plan. Without values in the grid,
    the spec's own holds, and the sweep has no such axis."""
    width: int = 6
    """Columns in a table."""
    is_large: bool = True
    """Whether values are counts that are shortened everywhere alike: 2.99k, 300k."""
    always_shown: bool = False
    """Whether tables show it also where all rows agree."""
    in_cell: bool = True
    """Whether runs of different values are different cells."""
    row_field: str = ""
    """In rows and filters, where it goes by another name there."""

    @property
    def column(self) -> str:
        """Its name in rows and filters."""
        return self.row_field or self.field

    def of(self, one: WithAxes) -> AxisValue | None:
        """Its value; None where it is unknown, or no part of what it is asked of."""
        return (
            one.other_axes.get(self.field)
            if self.spec_field
            else getattr(one, self.column, getattr(one, self.field, None))
        )

    def words(self, value: AxisValue | None) -> str:
        """The value in a table."""
        if value is None:
            return "–"
        if isinstance(value, str):
            return value
        if isinstance(value, float):
            return f"{value:.4g}"
        return format_count(value) if self.is_large else f"{value:,}"

    def named(self, value: AxisValue | None) -> str:
        """The value with its name, for labels: `D=100k`."""
        return f"{self.label}={self.words(value)}"


SIZE = Axis(
    "model_size", "num_params", "size", "N", "sizes",
    "Model sizes, of the list on the right; → completes.", separates_laws=False, width=9,
    always_shown=True, row_field="params",
)  # fmt: skip
FREQUENCY = Axis(
    "infusion_frequency", "frequency", "F", "F", "frequencies F",
    "0, 4, 16 or geom(1, 512, 10), linspace, range.", in_condition=False, always_shown=True, is_large=False,
)  # fmt: skip
TOKENS = Axis(
    "num_tokens", "num_tokens", "D", "D", "budgets D", "Loss-bearing tokens: 300k, 10B.", separates_laws=False,
)  # fmt: skip
TEMPLATES = Axis(
    "num_templates", "templates", "T", "T", "templates",
    "How many statements infused facts take turns in: 1, 3.", width=3,
)  # fmt: skip
SEED = Axis(
    "seed", "seed", "seed", "seed", "seeds",
    "0, 1, 2 or range(3). Two or more: intervals need the scatter between them.", in_condition=False, width=4,
    always_shown=True, in_cell=False, is_large=False,
)  # fmt: skip

AXES: tuple[Axis, ...] = (SIZE, FREQUENCY, TOKENS, TEMPLATES, SEED)
OTHER_AXES: tuple[Axis, ...] = tuple(axis for axis in AXES if axis.spec_field)
"""Those without fields of their own in plans, conditions and rows."""


def differing_axes(places: Collection[WithAxes]) -> list[Axis]:
    """The axes of conditions, but for the size's, in which these differ: what their labels have to say."""
    axes = [axis for axis in AXES if axis.in_condition and axis is not SIZE]
    return [axis for axis in axes if len({axis.of(place) for place in places}) > 1]
