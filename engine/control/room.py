"""Room on the workspace's disk: nothing is started that would fill it, and everybody is told so in the same words."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from engine.records.workspace import Workspace

_RESERVE_BYTES, _RESERVE_INODES = 200 * 10**6, 1_000
_RESERVE_SHARE = 0.02
"""Of a small disk, less is kept free."""


def shortage(workspace: Workspace) -> str | None:
    """Why nothing more is started, where the disk has no room for it."""
    try:
        disk = os.statvfs(workspace.root)
    except OSError:
        return None
    free, reserve = disk.f_bavail * disk.f_frsize, min(_RESERVE_BYTES, _RESERVE_SHARE * disk.f_blocks * disk.f_frsize)
    if free < reserve:
        words = f"{free / 1e6:,.3g} MB are free, of which {reserve / 1e6:,.3g} MB are kept"
    elif disk.f_files and disk.f_favail < (spare := min(_RESERVE_INODES, _RESERVE_SHARE * disk.f_files)):
        words = f"{disk.f_favail:,} more files are possible, of which {spare:,.0f} are kept"
    else:
        return None
    return f"nothing more is started until there is room on the disk of {workspace.root}: {words}"


def say(words: str) -> None:
    """A line of the supervisor's log, which may lie on a full disk too."""
    with contextlib.suppress(OSError, ValueError):
        print(f"{time.strftime('%F %T')} {words}", file=sys.stderr, flush=True)
