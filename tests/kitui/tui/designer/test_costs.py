"""The grid as a heat map."""

from __future__ import annotations

from rich.style import Style

from kitui.services.planning import GridCell
from kitui.tui.designer.costs import grid_text


def cell(frequency: int, trained: int, overall: float | None, above: bool = False) -> GridCell:
    return GridCell(
        model="nano-3k", frequency=frequency, num_tokens=1000, templates=1, seeds=3, trained=trained,
        overall=overall, above_ceiling=above,
    )  # fmt: skip


def shade(value: float) -> Style:
    return Style(bgcolor=f"color({round(100 * value)})")


def test_numbers_stand_on_the_shade_of_their_value() -> None:
    text = grid_text([cell(0, 3, 0.25), cell(4, 1, 0.75), cell(8, 0, None), cell(900, 0, None, above=True)], 80, shade)
    words, shades = str(text), {str(text)[s.start : s.end]: s.style for s in text.spans}
    assert words.splitlines()[-1] == "nano-3k  .25 ░.75   ·3    ✗"
    assert shades["  .25"] == shade(0.25)
    assert shades[" ░.75"] == shade(0.75)


def test_frequencies_that_do_not_fit_come_below() -> None:
    lines = str(grid_text([cell(2**i, 0, None) for i in range(9)], 7 + 5 * 4, shade)).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["F", "nano-3k"] * 3
    assert max(len(line) for line in lines) <= 7 + 5 * 4 + 4
