"""Room on the workspace's disk: nothing is started that would fill it, and everybody is told so in the same words."""

from __future__ import annotations

import os
from typing import NamedTuple

from engine.errors import DataError, SpecError, nearest
from engine.records.workspace import Workspace
from engine.spec.files import as_spec_error, read_toml
from engine.spec.numbers import parse_count

_USUAL_BYTES, _USUAL_FILES, _USUAL_SHARE = 200 * 10**6, 1_000, 0.02
"""Kept free of a disk; of a small one, this share of it."""


class Reserve(NamedTuple):
    """What is to be kept free of the workspace's disk; None for the usual."""

    reserve_bytes: int | None = None
    reserve_files: int | None = None


def reserve_of(workspace: Workspace) -> Reserve:
    """As `workspace.toml` gives it. SpecError names what is wrong there."""
    path = workspace.root / "workspace.toml"
    if not path.exists():
        return Reserve()
    try:
        table = read_toml(path)
    except DataError as error:
        raise as_spec_error(error) from None
    numbers = {}
    for key, value in table.items():
        if key not in Reserve._fields:
            raise SpecError("unknown key.", where=str(path), key=key, mend=nearest(key, Reserve._fields))
        try:
            numbers[key] = parse_count(value)
        except ValueError as error:
            raise SpecError(f"{error}.", where=str(path), key=key, value=value) from None
    return Reserve(**numbers)


def shortage(workspace: Workspace) -> str | None:
    """Why nothing more is started, where the disk has no room for it, or nobody can tell how much is to be kept."""
    try:
        wanted = reserve_of(workspace)
    except SpecError as error:
        return f"nothing more is started until this is mended: {error}"
    try:
        disk = os.statvfs(workspace.root)
    except OSError:
        return None
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    reserve = min(_USUAL_BYTES, _USUAL_SHARE * size) if wanted.reserve_bytes is None else wanted.reserve_bytes
    spare = min(_USUAL_FILES, _USUAL_SHARE * disk.f_files) if wanted.reserve_files is None else wanted.reserve_files
    if free < reserve:
        words = f"{free / 1e6:,.3g} MB are free, of which {reserve / 1e6:,.3g} MB are kept"
    elif disk.f_files and disk.f_favail < spare:
        words = f"{disk.f_favail:,} more files are possible, of which {spare:,.0f} are kept"
    else:
        return None
    return f"nothing more is started until there is room on the disk of {workspace.root}: {words}"
