"""Tables as Markdown, to be put into notes and issues."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from kitui.services.text import printable


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """`right`: which columns are set to the right."""
    lines = [_row(heads), _row([":--" if not to_right else "--:" for to_right in right])]
    return "\n".join([*lines, *map(_row, rows)])


def as_markdown(table: Table) -> str:
    """A table as the terminal shows it."""
    heads = [_plain(column.header) for column in table.columns]
    cells = [[_plain(cell) for cell in column.cells] for column in table.columns]
    right = [column.justify == "right" for column in table.columns]
    return markdown_table(heads, list(zip(*cells, strict=True)), right)


def _row(cells: Sequence[str]) -> str:
    safe = (printable(cell).strip().replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(safe)} |"


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
