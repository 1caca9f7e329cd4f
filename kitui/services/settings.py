"""The user's configuration file: theme, refresh, and keys. A fault in it is named, and nothing else of it is lost."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_config_path

from engine.errors import DataError, SpecError, nearest
from engine.records.workspace import write_atomically
from engine.spec.files import as_spec_error, read_toml
from kitui.services.actions import ACTIONS

THEMES = ("textual-dark", "textual-light", "ansi-dark", "ansi-light", "high-contrast")
_KEYS = ("theme", "refresh_s", "notify", "on_end", "keys")


class Settings(NamedTuple):
    """The user's configuration of the app."""

    theme: str
    refresh_s: float
    """How often the workspace is looked at; plots and tables are drawn at most so often."""
    animations: bool
    notify: bool
    """Whether the terminal calls when a sweep ends, fails or stalls."""
    on_end: str
    """A command of the user's own that is run then; none where it is empty."""
    keymap: dict[str, str]
    """Keys by action id."""


def settings_path() -> Path:
    """Where it is read from."""
    return Path(os.environ.get("KITUI_CONFIG") or user_config_path("kitui") / "config.toml")


def read_settings() -> Settings:
    """The file's settings, over what suits this terminal: over SSH less is drawn. SpecError names a fault."""
    remote = bool(os.environ.get("SSH_CONNECTION"))
    content = _read(settings_path())
    theme = content.get("theme", THEMES[0])
    if not isinstance(theme, str) or theme not in THEMES:
        raise SpecError(
            "no such theme.", where=str(settings_path()), key="theme", value=theme, mend=nearest(str(theme), THEMES)
        )
    refresh_s = content.get("refresh_s", 1.5 if remote else 0.5)
    if isinstance(refresh_s, bool) or not isinstance(refresh_s, (int, float)) or not 0.1 <= refresh_s <= 60:
        raise SpecError("expected seconds, 0.1 to 60.", where=str(settings_path()), key="refresh_s", value=refresh_s)
    notify, on_end = content.get("notify", True), content.get("on_end", "")
    if not isinstance(notify, bool):
        raise SpecError("expected true or false.", where=str(settings_path()), key="notify", value=notify)
    if not isinstance(on_end, str) or not _is_command(on_end):
        mend = 'Such as on_end = "notify-send kitui": what happened, the sweep and a sentence are added.'
        raise SpecError("expected a command.", where=str(settings_path()), key="on_end", value=on_end, mend=mend)
    return Settings(theme, float(refresh_s), not remote, notify, on_end, _keymap(content.get("keys", {})))


def _is_command(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


def remember_theme(theme: str) -> None:
    """Write it into the file; all else in it stays as it is, comments too. SpecError or OSError where that fails."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = settings_path().resolve()  # a link to a file that is kept elsewhere stays one
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8") if path.exists() else "")
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise SpecError(f"not valid TOML: {error}.", where=str(path)) from None
    document["theme"] = theme
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, document.as_string().encode(), mode=0o666)


def _read(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    try:
        content = read_toml(path)
    except DataError as error:
        raise as_spec_error(error) from None
    for key in content:
        if key not in _KEYS:
            raise SpecError("unknown key.", where=str(path), key=key, mend=nearest(key, _KEYS))
    return content


def _keymap(table: object) -> dict[str, str]:
    ids = [action.id for action in ACTIONS]
    if not isinstance(table, dict):
        raise SpecError(
            'expected a table such as [keys] with "monitor.cancel" = "x".', where=str(settings_path()), key="keys"
        )
    for name, key in table.items():
        if name not in ids:
            mend = f"{nearest(name, ids)} kitui keys lists them all."
            raise SpecError("no such action.", where=str(settings_path()), key=f"keys.{name}", mend=mend)
        if not isinstance(key, str) or not key.strip():
            raise SpecError(
                'expected a key such as "x" or "ctrl+x".', where=str(settings_path()), key=f"keys.{name}", value=key
            )
    return dict(table)
