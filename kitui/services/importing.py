"""`kitui import`: results trained elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.analysis.imports import import_table
from engine.records.workspace import Workspace
from kitui.services.columns_given import column_mapping


def import_results(workspace: Workspace, table: Path, name: str, columns: Sequence[str], *, replace: bool) -> str:
    """Take a table in, and say what was. `columns`: `OURS=THEIRS` for each column of another name."""
    found = import_table(table, name, workspace, columns=column_mapping(columns), replace=replace)
    left_out = f"; {found.num_empty} without a result left out" if found.num_empty else ""
    return f"imported as {name} ({found.num_rows} rows{left_out}): kitui law {name}  ({found.folder.root})"
