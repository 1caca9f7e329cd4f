"""All that is fixed along one retention curve, and what the curves of one law share."""

from __future__ import annotations

import msgspec

from engine.records.record import Record
from engine.spec.axes import AXES, AxisValue


class LawCondition(Record, frozen=True, kw_only=True):
    """What curves of one law share: all but the size, the budget and what follows from them. None where unknown."""

    templates: int | None = None
    fill: str | None = None
    stages: str | None = None
    mixture: str | None = None
    num_infused_facts: int | None = None
    other_axes: dict[str, AxisValue] = {}
    """Values of the axes that have no field here, by field."""

    def words(self) -> str:
        """As one may give it to `--where`."""
        return " and ".join(f"{name}={value}" for name, value in self.by_field().items() if value is not None)

    def by_field(self) -> dict[str, AxisValue | None]:
        """All values; axes that have no field here last."""
        return {
            name: value for name, value in msgspec.structs.asdict(self).items() if name != "other_axes"
        } | self.other_axes

    def __hash__(self) -> int:
        return hash(self.words())


class Condition(LawCondition, frozen=True, kw_only=True):
    """All that is fixed along one retention curve; None where unknown."""

    num_params: int
    num_params_total: int | None = None
    num_tokens: int
    ceiling_frequency: int | float | None = None

    def law_condition(self) -> LawCondition:
        shared = {axis.field for axis in AXES if axis.separates_laws}
        own = {name: getattr(self, name) for name in LawCondition.__struct_fields__}
        return LawCondition(**own | {"other_axes": {f: value for f, value in self.other_axes.items() if f in shared}})

    def sort_key(self) -> tuple[tuple[bool, AxisValue | None], ...]:
        """By size, then budget, then the rest in its order; unknown values first."""
        return tuple((value is not None, value) for value in self.by_field().values())

    def by_field(self) -> dict[str, AxisValue | None]:
        """All values: the size and the budget first, axes that have no field here last."""
        first = {name: getattr(self, name) for name in ("num_params", "num_params_total", "num_tokens")}
        return first | super().by_field()

    def __hash__(self) -> int:
        return hash((self.num_params, self.num_tokens, self.templates, self.fill))
