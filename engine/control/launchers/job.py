"""What the launcher of another machine knows of one thing that a guard there owns, and how it takes a host's word."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import orjson

from engine.control.launchers import mirror
from engine.control.launchers.base import Stage
from engine.control.transport.inputs import Input
from engine.errors import KituiError, LaunchError
from engine.records.processes import ExitRecord, LaunchRecord

OVER: tuple[Stage, ...] = ("ended", "lost", "taken")
_STAGES: tuple[Stage, ...] = ("starting", "waiting", "running", *OVER, "absent")


class Job:
    """Something that a guard there owns: a run, or a preparation. `launch` is what it is still to be started with."""

    def __init__(
        self, attempt: int, folder: Path, files: tuple[str, ...], launch: LaunchRecord | None, num_processes: int = 1
    ) -> None:
        self.attempt, self.folder, self.files, self.launch = attempt, folder, files, launch
        self.num_processes = num_processes
        self.content: Callable[[str], dict[str, bytes]] = lambda _workspace: {}
        """Files to put beside `launch.json`, given the workspace there."""
        self.facts: Path | None = None
        self.inputs: list[Input] = []
        self.asked_s, self.withdrawn = time.monotonic(), False
        self.tried = False
        """Whether a request to start it may have reached the host: where not, it has certainly not begun."""
        self.stop = False
        self.stop_again_s = 0.0
        self.dropped = False
        """Of no interest any more: once it is over it is forgotten."""
        self.base: dict[str, int] | None = None
        """Where in the files here those of the host begin, once that has been read."""
        self.stage: Stage = "starting"
        self.reason = ""

    @property
    def is_over(self) -> bool:
        return self.stage in OVER

    def offsets(self) -> dict[str, int]:
        """How much of each file of the host is here."""
        if self.base is None:
            self.base = mirror.base_of(self.folder)
        return mirror.offsets(self.folder, self.base)


def not_begun(attempt: int) -> ExitRecord:
    """The end of what was withdrawn before it was started."""
    return ExitRecord(
        attempt=attempt, returncode=None, signal="SIGTERM", stopped=True, ended_s=time.time(), reason="it had not begun"
    )


def checked_stage(told: str) -> Stage:
    """A stage as a host tells it. LaunchError for a word that is none."""
    for stage in _STAGES:
        if stage == told:
            return stage
    raise LaunchError("a host tells of a run in a way that is not known.", value=told)


def checked_exit(ending: ExitRecord | None, attempt: int) -> ExitRecord:
    """A guard's account as a host tells it. LaunchError where it is of another attempt."""
    if ending is None or ending.attempt != attempt:
        raise LaunchError("a host tells of another attempt than was asked for.")
    return ending


def beside(folder: Path, name: str) -> Path:
    """A file of the folder itself: a host names no other place."""
    if Path(name).name != name or name.startswith("."):
        raise LaunchError("not the name of a result.", value=name)
    return folder / name


def last_words(log: Path) -> str:
    """What a preparation found wrong: the error that it ends with as JSON, or its last line."""
    lines = [line for line in log.read_bytes().splitlines() if line.strip()] if log.exists() else []
    if not lines:
        return ""
    try:
        return str(KituiError.from_json(orjson.loads(lines[-1])))
    except (orjson.JSONDecodeError, AttributeError):
        return lines[-1].decode(errors="replace")
