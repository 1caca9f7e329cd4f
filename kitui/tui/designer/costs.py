"""What a sweep takes, in words, and its grid as a heat map: what is known of each cell, and what is still to train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.style import Style
from rich.text import Text
from textual.color import Color
from textual.widgets import Static

from engine.spec.axes import differing_axes
from engine.spec.models import PRESETS
from engine.spec.numbers import format_count
from kitui.services.format import counted, duration, number, retention, size_of_bytes
from kitui.services.planning import GridCell, PlanDocument, memory_words, relaunch_words
from kitui.services.text import printable

_T = TypeVar("_T")
_WIDTH = 33  # columns, before the first layout
_CELL = 5
_LEAST_HOURS = 0.001
Shade = Callable[[float], Style]


class Costs(Static):
    def __init__(self, id: str) -> None:
        super().__init__("", id=id, markup=False)
        self._shown: tuple[str, PlanDocument | None, bool] = ("", None, False)

    def show(self, note: str, plan: PlanDocument | None, *, with_sizes: bool) -> None:
        """`with_sizes`: the model sizes that there are, too."""
        shown = (note, plan, with_sizes)
        if shown != self._shown:
            self._shown = shown
            self._draw()

    def _draw(self) -> None:
        note, plan, with_sizes = self._shown
        parts = [Text(printable(note)), Text()] if note else []
        if with_sizes:
            parts += [Text("\n".join(preset_lines())), Text()]
        if plan is not None:
            parts += [Text("\n".join(cost_lines(plan))), Text()]
            parts += [grid_text(plan.grid, self.size.width or _WIDTH, self._shade)]
            parts += [Text(), *(Text(f"note: {printable(n)}") for n in plan.notes)] if plan.notes else []
        self.update(Text("\n").join(parts))

    def on_resize(self) -> None:
        self._draw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.is_mounted and self._shown[1] is not None:
            self._draw()

    def _shade(self, value: float) -> Style:
        """The stronger a cell remembers, the more of the theme's own colour lies behind its number. The terminal's own
        colours cannot be mixed: there the number alone says it."""
        if self.app.native_ansi_color or self.app.ansi_color:
            return Style()
        ground, colour = (Color.parse(self.app.theme_variables[name]) for name in ("background", "primary"))
        fill = ground.blend(colour, 0.1 + 0.8 * max(0.0, min(value, 1.0)))
        return Style(color=fill.get_contrast_text(1.0).rich_color, bgcolor=fill.rich_color)


def preset_lines() -> list[str]:
    """The model sizes that there are, two to a line."""
    shapes = [f"{name:<9}{format_count(s.num_params):>6}" for name, s in PRESETS.items()]
    return ["sizes, N without embeddings:", *("  ".join(pair) for pair in _batched(shapes, 2))]


def cost_lines(plan: PlanDocument) -> list[str]:
    """What a sweep takes, in 34 columns or little more."""
    cells = plan.cells
    return [
        f"{cells.total:,} runs: {cells.new:,} new, {cells.trained:,} trained",
        *([relaunch_words(plan.launched)] if plan.launched else []),
        f"to train   {format_count(plan.train_tokens)} tokens",
        f"a fact     {number(plan.tokens_per_fact)} tokens",
        *(
            f"ceiling    F ≤ {d.ceiling_frequency:,} at D = {format_count(d.num_tokens)}"
            for d in plan.ceilings
            if d.ceiling_frequency is not None
        ),
        f"GPU-hours  {_hours(plan.gpu_hours)}",
        f"time here  {duration(plan.eta_s)}, {counted(plan.slots, 'slot')}",
        f"disk       {size_of_bytes(plan.disk_bytes)}",
        f"run memory {memory_words(plan)}",
    ]


def _hours(hours: float | None) -> str:
    return "< .001" if hours is not None and hours < _LEAST_HOURS else number(hours)


def grid_text(grid: Sequence[GridCell], columns: int, shade: Shade) -> Text:
    """Sizes down, frequencies across: the mean retention where it is known, else how many seeds are to be trained.
    Frequencies that do not fit in so many columns come in further blocks below."""
    doses = sorted({row.frequency for row in grid})
    rows: dict[str, dict[float, GridCell]] = {}
    differing = differing_axes(grid)
    for row in grid:
        label = " ".join([row.model, *(axis.named(axis.of(row)) for axis in differing)])
        rows.setdefault(label, {})[row.frequency] = row
    width = max([len(label) for label in rows], default=4)
    text = Text("R known; ░ part; ·n seeds to go")
    for block in _batched(doses, max(1, (columns - width) // _CELL)):
        text.append("\n" + "F".ljust(width) + "".join(f"{dose:>{_CELL}}" for dose in block), style="bold")
        for label, by_dose in rows.items():
            text.append("\n" + label.ljust(width))
            for dose in block:
                _add_cell(text, by_dose.get(dose), shade)
    return text


def _add_cell(text: Text, row: GridCell | None, shade: Shade) -> None:
    if row is None:
        text.append(" " * _CELL)
    elif row.above_ceiling:
        text.append("✗".rjust(_CELL), style="dim")
    elif row.trained == 0:
        text.append(f"·{row.seeds}".rjust(_CELL), style="dim")
    else:
        words = "✓" if row.overall is None else retention(row.overall)
        part = "░" if row.trained < row.seeds else ""
        text.append(f"{part}{words}".rjust(_CELL), style=Style() if row.overall is None else shade(row.overall))


def _batched(values: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [values[i : i + size] for i in range(0, len(values), size)]
