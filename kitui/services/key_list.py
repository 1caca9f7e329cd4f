"""`kitui keys`: every action with its keys, as they are with the user's configuration."""

from __future__ import annotations

from typing import Any

from engine.records.results import SCHEMA_VERSION
from kitui.services.actions import ACTIONS
from kitui.services.settings import read_settings, settings_path


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
