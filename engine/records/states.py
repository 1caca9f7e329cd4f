"""How runs, sweeps and hosts stand: the documents of `state.json`, and the words for it.

These alone of all records are changed in place: by the supervisor, through `engine.control.ledger`; everybody else
reads them. A document is written without the fields that hold their default: ten thousand runs stay a small file.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, NamedTuple

import msgspec

from engine.records.record import Record

LOCAL = "local"
"""The host that this machine is."""
ALL_HOSTS = "all"
"""In caps: what a sweep may take on all its hosts together."""


class RunStatus(StrEnum):
    """How a run, or a cell of a sweep, stands. `preparing`, `unreachable` and `interrupted` are said of cells only; no
    run is stored with one of them."""

    DONE = "done"
    RUNNING = "running"
    QUEUED = "queued"
    PREPARING = "preparing"
    PAUSED = "paused"
    FAILED = "failed"
    DIVERGED = "diverged"
    LOST = "lost"
    UNREACHABLE = "unreachable"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"

    @property
    def sign(self) -> str:
        """For tables: a status is never shown by colour alone."""
        return _LOOKS[self].sign

    @property
    def short(self) -> str:
        """The word in seven letters or fewer."""
        return _LOOKS[self].short

    @property
    def is_open(self) -> bool:
        """Whether its end is still to come, without anybody's asking for it."""
        return _LOOKS[self].kind == "open"

    @property
    def is_ended(self) -> bool:
        return _LOOKS[self].kind in ("ended", "trouble")

    @property
    def is_trouble(self) -> bool:
        """Whether it ended in a way that a person should look at."""
        return _LOOKS[self].kind == "trouble"

    @property
    def is_scored(self) -> bool:
        """Whether a run of this status has left a result."""
        return self in (RunStatus.DONE, RunStatus.DIVERGED)

    @property
    def has_begun(self) -> bool:
        """Whether it holds a slot, as far as anybody knows."""
        return self in (RunStatus.RUNNING, RunStatus.UNREACHABLE)


class _Look(NamedTuple):
    sign: str
    short: str
    kind: Literal["open", "held", "ended", "trouble"]


_LOOKS = {
    RunStatus.DONE: _Look("✓", "done", "ended"),
    RunStatus.RUNNING: _Look("▶", "running", "open"),
    RunStatus.QUEUED: _Look("·", "queued", "open"),
    RunStatus.PREPARING: _Look("·", "prep.", "open"),
    RunStatus.PAUSED: _Look("‖", "paused", "held"),
    RunStatus.FAILED: _Look("✗", "failed", "trouble"),
    RunStatus.DIVERGED: _Look("✗", "diverg.", "trouble"),
    RunStatus.LOST: _Look("?", "lost", "trouble"),
    RunStatus.UNREACHABLE: _Look("?", "away", "open"),
    RunStatus.INTERRUPTED: _Look("?", "interr.", "open"),
    RunStatus.CANCELLED: _Look("–", "cancel.", "ended"),
}


StatusCounts = dict[RunStatus, int]
"""How many cells stand in which way; every status is there."""


def no_counts() -> StatusCounts:
    return dict.fromkeys(RunStatus, 0)


EndsAs = Literal["cancelled", "paused"]
"""What a run that is asked to end becomes."""


class RunSummary(Record, frozen=True, kw_only=True):
    """What the state keeps of a run's result: enough for tables and forecasts."""

    status: Literal["done", "diverged"]
    attempt: int = 1
    elapsed_s: float = 0.0
    tokens_per_s: float = 0.0
    trained_tokens: int = 0
    exposures_as_planned: bool = True
    retention: dict[str, float] = {}
    """By fact set that was asked."""
    measures: dict[str, dict[str, float]] = {}
    """By further measure that is kept, and fact set; none in a summary of an older kitui."""
    overall: float | None = None
    background_loss: float | None = None
    background_epochs: float | None = None
    prior_exposures: float | None = None


class RunState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A run as the supervisor keeps it, over all its attempts."""

    name: str
    status: RunStatus = msgspec.field(default=RunStatus.QUEUED, name="state")
    attempt: int = 0
    failures: int = 0
    """Ends from outside (signals, lost guards) since it was last queued by a person."""
    reason: str = ""
    results: dict[str, RunSummary] = {}
    """By evaluation id."""
    evaluation_id: str = ""
    """The questions that its last attempt is scored with."""
    host: str = LOCAL
    """Where it was started last."""
    slot: str | None = None
    """The slots it holds: `cpu:0`, `gpu:0+gpu:1`."""
    num_processes: int = 1
    started_s: float | None = None
    ended_s: float | None = None
    ending: EndsAs | None = None
    """It is to end, and will then be this."""
    requeue: bool = False
    """It is to end, and will then be queued again."""
    stop_sent: bool = False
    """Its guard has been asked to end it."""
    waiting: str = ""
    """Why it waits in a cluster's queue, if it does."""
    trained_on: str | None = None
    """The host that has its newest checkpoint."""
    moved_to: str | None = None
    """The host that it is to start on next."""
    kept_bytes: int = 0
    """What it has left on this machine's disk, at the end of its last attempt."""
    weights_dropped: bool = False
    """Its weights were removed, wherever they were."""
    used_s: dict[str, float] = {}
    """Seconds of slots it has taken, by host, over all ended attempts."""

    @property
    def is_running(self) -> bool:
        return self.status is RunStatus.RUNNING

    @property
    def slots(self) -> list[str]:
        return self.slot.split("+") if self.slot else []


class SweepState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A launched sweep as the supervisor keeps it."""

    name: str
    run_ids: tuple[str, ...] = ()
    """In the order in which they are to start."""
    evaluation_id: str = ""
    active: bool = False
    """Whether its runs are to be started and followed."""
    paused: bool = False
    archived: bool = False
    slots: int | None = None
    """Runs at once; None for as many as its hosts have slots."""
    most_processes: int = 1
    """Processes of its widest run."""
    max_attempts: int = 1
    hosts: tuple[str, ...] = (LOCAL,)
    priority: int = 0
    caps: dict[str, float] = {}
    """Hours of slots at most, by host; under `ALL_HOSTS`, on all of them together."""
    max_disk_bytes: int | None = None
    """What its runs may take of this machine's disk."""
    disk_full: str = ""
    """That no more is started, for what it takes would be more than it may."""
    launched_s: float = 0.0
    asked_s: float = 0.0
    """When it was last asked to be prepared."""
    prepared: bool | None = None
    """Whether its token files are there on one host at least; None while that is being found out."""
    prepare_error: str | None = None
    host_faults: dict[str, str] = {}
    """By host, why it could not be prepared there."""
    too_wide: str = ""
    """That some of its runs need more slots than any of its hosts has."""
    analysis_error: str | None = None
    eta_at_s: float | None = None
    eta_between_s: tuple[float, float] | None = None
    ended_s: float | None = None

    @property
    def is_local(self) -> bool:
        """Whether this machine is the only host its runs go to."""
        return self.hosts == (LOCAL,)


class HostState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A host as the supervisor has met it."""

    name: str
    slots: int | None = None
    """None where it was not met yet."""
    unreachable_since_s: float | None = None
    fault: str = ""
    """Why nothing can be started there."""
    drained: bool = False
    set_aside: str = ""
    """Why nothing is started there since some runs in a row failed, but for one run now and then on trial."""
    tried_s: float = 0.0
    """When the last of those failed."""
    failed: tuple[str, ...] = ()
    """The runs that failed there in a row, the last of them at the end."""
    discarded: tuple[str, ...] = ()
    """Folders below its workspace that are still to be removed."""

    @property
    def is_open(self) -> bool:
        """Whether runs are to be started there."""
        return not (self.drained or self.set_aside)


Runs = Mapping[str, RunState]
Sweeps = Mapping[str, SweepState]
Hosts = Mapping[str, HostState]


def cell_status(
    sweep: SweepState,
    run: RunState | None,
    away: frozenset[str] = frozenset(),
    unseen: Mapping[str, RunStatus] = MappingProxyType({}),
) -> RunStatus:
    """How a cell of this sweep stands: its own scores count, whatever the run does for another sweep. `away`: hosts
    that do not answer; `unseen`: how runs stand that nobody looks after."""
    if run is None:
        return RunStatus.QUEUED
    result = run.results.get(sweep.evaluation_id)
    if result is not None:
        return RunStatus(result.status)
    if run.is_running:
        if run.waiting:
            return RunStatus.QUEUED
        if run.name in unseen:
            return unseen[run.name]
        return RunStatus.UNREACHABLE if run.host in away else RunStatus.RUNNING
    if run.status is RunStatus.QUEUED or run.status.is_scored:
        if not sweep.active:
            if sweep.paused:
                return RunStatus.PAUSED
            return RunStatus.FAILED if sweep.prepare_error else RunStatus.CANCELLED
        return RunStatus.PREPARING if sweep.prepared is None else RunStatus.QUEUED
    return run.status


def hosts_away(hosts: Hosts) -> frozenset[str]:
    """The hosts that do not answer."""
    return frozenset(name for name, host in hosts.items() if host.unreachable_since_s)
