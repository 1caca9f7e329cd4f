"""The legend of a figure: its entries by marker and name, which of them is chosen, and which are switched off."""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment
from rich.style import Style

from kitui.tui.plot.figure import Figure, Series


def legend(figure: Figure, width: int, max_lines: int, styles: Mapping[str, Style]) -> list[list[Segment]]:
    """As many lines as it takes, and no more than so many; with the value cursor, the series' values there."""
    indent, more = Segment(" ", styles[""]), Segment("…", styles[""])
    lines = [[indent]]
    room = width - 2
    for entry in figure.entries:
        one = next(series for series in figure.content.series if series.entry == entry and series.label)
        if one.named and not figure.is_at_cursor(one):  # its name stands beside it
            continue
        text = f"{_words(figure, entry, one)}  "
        if len(text) > room and len(lines) < max_lines and len(lines[-1]) > 1:
            lines.append([indent])
            room = width - 2
        if len(text) > room:
            lines[-1].append(more)
            break
        room -= len(text)
        is_chosen = entry == figure.chosen
        style = styles["axis"] if entry in figure.hidden else styles[str(one.colour % 8)]
        lines[-1].append(Segment(text[:-2], style + Style(reverse=True) if is_chosen else style))
        lines[-1].append(Segment("  ", styles[""]))
    return lines if len(lines[0]) > 1 else []


def _words(figure: Figure, entry: str, one: Series) -> str:
    """Marker, name and value; an entry that is off has an empty marker: colour alone would not tell."""
    marker = "·" if entry in figure.hidden else one.marker
    value = "" if entry in figure.hidden else figure.value_at_cursor(one)
    return " ".join(part for part in (marker, one.label, value) if part)
