"""How requests reach a host's agent, and what the agent answers."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from engine.errors import LaunchError
from engine.records.hosts import Host
from engine.records.processes import ExitRecord
from engine.records.record import Record, decoded

LOGIN_LIMIT_S = 45.0
"""The first command waits for a login as well, and some take long."""
REQUEST_LIMIT_S = 20.0

A = TypeVar("A", bound=Record)


class UnreachableError(LaunchError):
    """The host did not answer: what runs there goes on, as far as anybody knows."""


class Transport(Protocol):
    """Requests to one host's agent. Not for several threads at once."""

    def ask(self, verb: str, kind: type[A], *, limit_s: float = REQUEST_LIMIT_S, **details: object) -> A:
        """The agent's answer. UnreachableError where none came; LaunchError says what else is wrong, and the mend."""

    def send(self, source: Path, target: str) -> None:
        """Copy a file or folder into a folder below the workspace there."""

    def fetch(self, source: str, target: Path) -> None:
        """Copy a file or folder below the workspace there into a folder here."""

    def code(self, workspace: str) -> str:
        """The folder there that Python finds this version's code in."""

    def close(self) -> None:
        """Let the connection go, once nobody else uses it."""


class Gpu(Record, frozen=True, kw_only=True):
    """A GPU of a host; memory in bytes."""

    index: str
    name: str
    memory_bytes: int


class Hello(Record, frozen=True, kw_only=True):
    """What kind of host it is."""

    workspace: str
    """Its folder, as an absolute path there."""
    node: str
    python: tuple[int, ...]
    executable: str
    time_s: float
    boot_id: str = ""
    cores: int
    free_bytes: int
    gpus: tuple[Gpu, ...] = ()
    missing: tuple[str, ...] = ()
    """Modules that training needs and that are not there, where that was asked."""


class JobReport(Record, frozen=True, kw_only=True):
    """How something that a guard owns stands, and what was added to its files."""

    standing: str
    reason: str = ""
    tails: dict[str, str] = {}
    """By file, packed."""
    exit: ExitRecord | None = None
    files: dict[str, str] = {}
    """Files of what has ended, packed."""


class PollAnswer(Record, frozen=True, kw_only=True):
    """What the agent says of the jobs it was asked about, by their folder."""

    jobs: dict[str, JobReport]


class StartAnswer(Record, frozen=True, kw_only=True):
    """What became of each job that was to be started."""

    jobs: dict[str, str]
    """By name: `started`, `already`, or `busy` with an earlier launch."""


class ClusterAnswer(Record, frozen=True, kw_only=True):
    """What a cluster says of itself."""

    version: str
    partitions: str
    jobs: int
    """Of this user, waiting or running."""


class Acknowledged(Record, frozen=True, kw_only=True):
    """It was done."""


class _Fault(Record, frozen=True, kw_only=True):
    error: str | None = None


def answer_in(out: bytes, nonce: str, host: Host, kind: type[A]) -> A | None:
    """What an agent answered, in what came from there; None where there is no answer. LaunchError where it could not do
    what was asked, or where its answer is none of ours."""
    line = next((part for part in out.split(b"\n") if part.startswith(nonce.encode() + b" ")), None)
    if line is None:
        return None
    content = line.partition(b" ")[2]
    try:
        fault = decoded(_Fault, content).error
        if fault is not None:
            raise LaunchError(f"{fault}.", where=host.name, mend=mend_of(fault))
        return decoded(kind, content)
    except msgspec.MsgspecError as error:
        raise LaunchError(f"not understood: {error}.", where=host.name) from None


def mend_of(words: str) -> str:
    """What to do about a fault that a host tells of, where that is known."""
    if "No space left" in words:
        return "Free some space on its disk, or set another `workspace` for this host in hosts.toml."
    if "Read-only file system" in words or "Permission denied" in words:
        return "Set a `workspace` that can be written for this host in hosts.toml."
    if words.startswith("Slurm"):
        return "Look at sinfo there, and at this host's partition, account and qos in hosts.toml."
    return ""
