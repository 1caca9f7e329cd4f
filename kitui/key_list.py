"""`kitui keys`: every action with its keys, as they are with the user's configuration."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from engine.records.results import SCHEMA_VERSION
from kitui.actions import ACTIONS, PLACES, key_name
from kitui.console import out
from kitui.settings import read_settings, settings_path


def keys_document() -> dict[str, Any]:
    """The document of `kitui keys --json`."""
    keymap = read_settings().keymap
    return {
        "schema_version": SCHEMA_VERSION,
        "configuration": str(settings_path()),
        "actions": [
            {"id": a.id, "where": a.where, "keys": keymap.get(a.id, a.key).split(","), "label": a.label, "help": a.help}
            for a in ACTIONS
        ],
    }


def print_keys(document: dict[str, Any]) -> None:
    console = out()
    for where, title in PLACES.items():
        table = Table(
            box=None, pad_edge=False, title=title, title_justify="left", title_style="bold", show_header=False
        )
        for column in ("keys", "help", "id"):
            table.add_column(column, no_wrap=column == "keys")
        for action in document["actions"]:
            if action["where"] == where:
                table.add_row(key_name(",".join(action["keys"])), action["help"], action["id"])
        console.print(table)
        console.print()
    console.print(f"To change them, in {document['configuration']}:", soft_wrap=True)
    console.print('  [keys]\n  "monitor.cancel" = "x"\n  "everywhere.quit" = "ctrl+q"')
