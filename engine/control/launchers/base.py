"""What every launcher does: the whole of it. A launcher belongs to one host, this machine being one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from engine.control.slots import Slot
from engine.records.hosts import Host
from engine.records.processes import ExitRecord
from engine.records.workspace import RunFolder

if TYPE_CHECKING:  # pydantic with it, which those who only look do not need
    from engine.records.bundle import SweepBundle

TRAINING_MODULE, PROCESSES_MODULE = "engine.training.run", "engine.training.processes"
Stage = Literal["starting", "waiting", "running", "ended", "taken", "lost", "absent"]


class Standing(NamedTuple):
    """How an attempt stands: `starting`, `waiting` (in a scheduler's queue, for a reason), `running`, `ended` (with the
    guard's account), `taken` (by the scheduler, which says nothing against the run) or `lost`."""

    stage: Stage
    exit: ExitRecord | None = None
    reason: str = ""


class Contact(NamedTuple):
    """What is known of a host."""

    is_met: bool = False
    slots: tuple[Slot, ...] = ()
    unreachable_since_s: float | None = None
    fault: str = ""
    """Why nothing is started there."""


class Prepared(NamedTuple):
    """Whether a sweep's token files are there, with the plan that was measured by them; or what went wrong."""

    is_ready: bool = False
    fault: str = ""
    plan: Path | None = None


class Launcher(Protocol):
    """What starts, watches and ends the guards of one host."""

    host: Host

    @property
    def contact(self) -> Contact: ...

    def slots(self, wanted: int | None) -> list[Slot]:
        """The slots that runs may be started on now; `wanted` of them where a number is asked for and the host leaves
        that to whoever asks."""

    def start(self, folder: RunFolder, slot: Slot, attempt: int) -> None:
        """Start an attempt and return at once. Asked twice for the same attempt, it starts once. LaunchError where it
        cannot."""

    def standing(self, folder: RunFolder, attempt: int) -> Standing: ...

    def stop(self, folder: RunFolder) -> bool:
        """Ask a run to write a checkpoint and end. False where there is nobody to ask yet."""

    def prepare(self, bundle: SweepBundle, attempt: int) -> None:
        """Have the sweep's token files made there, unless that has been asked for."""

    def prepared(self, sweep: str) -> Prepared:
        """How the preparation that was asked for last stands."""

    def drop(self, sweep: str) -> None:
        """A sweep is no longer to be prepared: what is under way for it there is ended."""

    def discard(self, names: list[str]) -> bool:
        """Have folders below the workspace there removed. Whether these have been."""

    def forget_discarded(self) -> None:
        """What was removed has been put down: of the same name there may be something again."""

    def close(self) -> None:
        """Let go of whatever was kept to start runs quickly; runs go on."""


def training_argv(run: str, slot: Slot, attempt: int) -> list[str]:
    """What is given to Python to train the run in this folder."""
    module = ["-m", TRAINING_MODULE] if slot.num_processes == 1 else ["-m", PROCESSES_MODULE, str(slot.num_processes)]
    return [*module, run, "--threads", slot.env["OMP_NUM_THREADS"], "--attempt", str(attempt)]
