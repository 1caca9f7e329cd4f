"""`kitui keys`: every action with its keys, as they are with the user's configuration."""

from __future__ import annotations

from engine.records.record import SCHEMA_VERSION, Record
from kitui.services.actions import ACTIONS
from kitui.services.settings import read_settings, settings_path


class ActionKeys(Record, frozen=True, kw_only=True):
    id: str
    where: str
    keys: tuple[str, ...]
    label: str
    help: str


class KeysDocument(Record, frozen=True, kw_only=True):
    """`kitui keys --json`."""

    schema_version: int = SCHEMA_VERSION
    configuration: str
    actions: tuple[ActionKeys, ...]


def keys_document() -> KeysDocument:
    keymap = read_settings().keymap
    return KeysDocument(
        configuration=str(settings_path()),
        actions=tuple(
            ActionKeys(
                id=a.id, where=a.where, keys=tuple(keymap.get(a.id, a.key).split(",")), label=a.label, help=a.help
            )
            for a in ACTIONS
        ),
    )
