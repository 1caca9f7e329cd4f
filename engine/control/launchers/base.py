"""What every launcher does: start a run on a slot, say how it stands, stop it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from engine.records.workspace import RunFolder


class Slot(NamedTuple):
    """What a run may hold: one GPU or one CPU core. `env` is what the run's process gets for it."""

    name: str
    kind: str
    env: dict[str, str]


class Standing(NamedTuple):
    """How an attempt stands: `starting`, `waiting` (in a scheduler's queue, for a reason), `running`, `ended` (with the
    guard's account), `taken` (by the scheduler, which says nothing against the run) or `lost`."""

    state: str
    exit: dict[str, Any] | None = None
    reason: str = ""


class Launcher(Protocol):
    def slots(self, wanted: int | None) -> list[Slot]:
        """The slots of this host; `wanted` of them where a number is asked for."""

    def start(self, folder: RunFolder, slot: Slot, attempt: int) -> None:
        """Start an attempt and return at once. Asked twice for the same attempt, it starts once. LaunchError where it
        cannot."""

    def standing(self, folder: RunFolder, attempt: int) -> Standing: ...

    def stop(self, folder: RunFolder) -> None:
        """Ask a run to write a checkpoint and end."""

    def close(self) -> None:
        """Let go of whatever was kept to start runs quickly; runs go on."""
