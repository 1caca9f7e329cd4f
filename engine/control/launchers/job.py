"""What the launcher of another machine knows of one thing that a guard there owns, and how it takes a host's word."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from engine.control.launchers import mirror
from engine.control.transport.inputs import Input
from engine.errors import KituiError, LaunchError

NOT_BEGUN = {
    "returncode": None, "signal": "SIGTERM", "stopped": True, "warned": False, "started_s": None, "max_rss_bytes": 0,
    "reason": "it had not begun",
}  # fmt: skip


class Job:
    """Something that a guard there owns: a run, or a preparation. `launch` is what it is still to be started with."""

    def __init__(
        self, attempt: int, folder: Path, files: tuple[str, ...], launch: dict[str, Any] | None, num_processes: int = 1
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
        self.standing, self.reason = "starting", ""

    def offsets(self) -> dict[str, int]:
        """How much of each file of the host is here."""
        if self.base is None:
            self.base = mirror.base_of(self.folder)
        return mirror.offsets(self.folder, self.base)


def checked(ending: dict[str, Any], attempt: int) -> dict[str, Any]:
    """A guard's account as a host tells it, in the form that is relied on here."""
    code, signal = ending["returncode"], ending["signal"]
    if ending["attempt"] != attempt or not isinstance(code, (int, type(None))):
        raise LaunchError("a host tells of another attempt than was asked for.")
    times = (ending.get("started_s"), ending.get("ended_s", ""))
    if not isinstance(times[0], (int, float, type(None))) or not isinstance(times[1], (int, float)):
        raise LaunchError("a host tells of an end without its time.")
    words = {"signal": str(signal) if signal else None, "reason": str(ending["reason"])}
    return NOT_BEGUN | ending | words


def beside(folder: Path, name: str) -> Path:
    """A file of the folder itself: a host names no other place."""
    if Path(name).name != name or name.startswith("."):
        raise LaunchError("not the name of a result.", value=name)
    return folder / name


def said(log: Path) -> str:
    """What a preparation found wrong: the error that it ends with as JSON, or its last line."""
    lines = [line for line in log.read_bytes().splitlines() if line.strip()] if log.exists() else []
    if not lines:
        return ""
    try:
        return str(KituiError.from_json(orjson.loads(lines[-1])))
    except (orjson.JSONDecodeError, AttributeError):
        return lines[-1].decode(errors="replace")
