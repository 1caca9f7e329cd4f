"""Tables as Markdown."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from kitui.services.markdown import as_markdown


def test_a_table_keeps_its_sides_and_no_cell_ends_early() -> None:
    table = Table()
    table.add_column("size")
    table.add_column("F*", justify="right")
    table.add_row(Text("a|b", style="bold"), "12")
    table.add_row("c", "\x1b[31m7")
    assert as_markdown(table).splitlines() == [
        "| size | F* |",
        "| :-- | --: |",
        "| a\\|b | 12 |",
        "| c | �[31m7 |",
    ]
