"""Names of sweeps: safe as folders' names."""

from __future__ import annotations

import re

from engine.errors import SpecError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def is_name(name: str) -> bool:
    """Whether a sweep may be called so."""
    return bool(_NAME.fullmatch(name))


def check_name(name: str, key: str = "name", where: str = "") -> str:
    """A name that is safe as a folder's name. SpecError otherwise."""
    if not is_name(name):
        raise SpecError(
            "not a usable name.",
            where=where,
            key=key,
            value=name,
            mend="Use small letters, digits, '.', '_' and '-', beginning with a letter or digit.",
        )
    return name
