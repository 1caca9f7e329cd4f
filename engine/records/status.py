"""The document of `kitui status --json`, which the app shows too."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.records.preparation import Preparation
from engine.records.record import SCHEMA_VERSION, Record
from engine.records.states import RunStatus, StatusCounts


class SweepStatus(Record, frozen=True, kw_only=True):
    """One sweep's line. Its counts stand beside the other fields in JSON, a field a status."""

    name: str
    simulated: bool = False
    archived: bool = False
    launched_s: float | None = None
    """When it was launched last, or imported; seconds since 1970."""
    cells: int
    counts: StatusCounts
    eta_s: float | None = None
    eta_spread_s: tuple[float, float] | None = None
    """Nine times in ten its last run ends between these."""
    alerts: tuple[str, ...] = ()
    preparation: Preparation | None = None
    """How far its token files have come, where they are being made on this machine."""

    def num(self, *statuses: RunStatus) -> int:
        return sum(self.counts[status] for status in statuses)

    @property
    def num_open(self) -> int:
        return self._sum(status for status in RunStatus if status.is_open)

    @property
    def num_waiting(self) -> int:
        return self.num(RunStatus.QUEUED, RunStatus.PREPARING)

    @property
    def num_in_trouble(self) -> int:
        return self._sum(status for status in RunStatus if status.is_trouble)

    def _sum(self, statuses: Iterable[RunStatus]) -> int:
        return self.num(*statuses)


class CappedSweep(Record, frozen=True, kw_only=True):
    """A sweep that wants a host, and what it may take there."""

    name: str
    cap_hours: float | None


class HostStatus(Record, frozen=True, kw_only=True):
    """A host as `kitui status` tells of it."""

    name: str
    kind: str
    ssh: str | None
    workspace: str | None
    slots: int | None
    """None for one that was not met yet."""
    running: int
    slot_hours: float
    """What kitui's runs have taken there in all."""
    open: bool
    fault: str
    sweeps: tuple[CappedSweep, ...]


class SupervisorStatus(Record, frozen=True, kw_only=True):
    """Whether the supervisor runs, and as which process."""

    alive: bool
    pid: int | None
    stopped: bool = False
    """It lives, and does nothing: somebody has sent it SIGSTOP."""


class StatusDocument(Record, frozen=True, kw_only=True):
    """What `kitui status --json` prints."""

    schema_version: int = SCHEMA_VERSION
    sweeps: tuple[SweepStatus, ...]
    supervisor: SupervisorStatus
    hosts: tuple[HostStatus, ...]

    def sweep(self, name: str | None) -> SweepStatus | None:
        return next((row for row in self.sweeps if row.name == name), None)


def status_json(document: StatusDocument) -> dict[str, object]:
    """The document as the contract of the command line has it."""
    content: dict[str, object] = msgspec.to_builtins(document)
    content["sweeps"] = [_flat(row) for row in document.sweeps]
    return content


def _flat(row: SweepStatus) -> dict[str, object]:
    content: dict[str, object] = msgspec.to_builtins(row)
    del content["counts"]
    ends = {key: content.pop(key) for key in ("eta_s", "eta_spread_s", "alerts", "preparation")}
    return content | {status.value: number for status, number in row.counts.items()} | ends
