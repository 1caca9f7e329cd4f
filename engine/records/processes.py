"""What a run's guard and whoever starts it write into the run folder. The guard itself needs the standard library only,
and writes these as plain JSON."""

from __future__ import annotations

import os
from pathlib import Path

from engine.records.record import Record

_TAIL_BYTES = 8192


class LaunchRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`launch.json`: what an attempt is started with."""

    attempt: int
    argv: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = "/"
    id: str = ""
    """Of this one launch: attempts are counted anew where a run was deleted."""


class GuardRecord(Record, frozen=True, kw_only=True):
    """`guard.json`: who owns an attempt."""

    attempt: int
    pid: int
    start_ticks: int | None
    boot_id: str
    child_pid: int = 0
    started_s: float = 0.0


class ExitRecord(Record, frozen=True, kw_only=True):
    """`exit.json`: how an attempt ended."""

    attempt: int
    returncode: int | None
    signal: str | None
    ended_s: float
    started_s: float | None = None
    """None where it had not begun."""
    elapsed_s: float = 0.0
    stopped: bool = False
    """Whether its guard was asked to end it."""
    warned: bool = False
    """Whether a scheduler said that its time is nearly over."""
    max_rss_bytes: int = 0
    reason: str = ""
    """The last line of its log, where it failed."""


class MirrorRecord(Record, frozen=True, kw_only=True):
    """`host.json`: whose lines a run's files here grow by. `base`: where in each file here the host's own begins;
    `known`: bytes of other hosts' files that have come over before."""

    host: str
    base: dict[str, int]
    known: dict[str, dict[str, int]] = {}


def last_lines(log: Path, number: int = 3) -> list[str]:
    """How a log ends: its last lines that say anything. None where there is no log."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - _TAIL_BYTES))
            lines = handle.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip()][-number:]
