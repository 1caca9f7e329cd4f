"""A launched sweep as it is handed on: its large parts stay the JSON they are.

Whoever does not look into ten thousand run specs neither validates them nor writes them anew, nor loads pydantic.
"""

from __future__ import annotations

import msgspec

from engine.records.plan import Plan
from engine.records.record import Record, decoded, encoded


class _Named(msgspec.Struct):
    name: str


class _Sized(msgspec.Struct):
    """What of a run's spec says its size."""

    model: _Named


class _Started(msgspec.Struct):
    """What of a run's spec says where it starts."""

    init_from: str | None = None


class RawBundle(Record, frozen=True, kw_only=True):
    """The document of `bundle.SweepBundle`."""

    sweep_toml: str
    origin: str | None = None
    plan: msgspec.Raw
    corpus: msgspec.Raw
    facts: msgspec.Raw
    runs: msgspec.Raw
    slots: int | None
    max_attempts: int
    max_gpu_hours: float | None = None
    max_disk_bytes: int | None = None

    def of_sizes(self) -> RawBundle:
        """The same with one run of each model size and no cells: for whoever asks what a size takes."""
        runs = msgspec.json.decode(self.runs, type=list[msgspec.Raw])
        chosen = {msgspec.json.decode(run, type=_Sized).model.name: run for run in runs}
        plan = msgspec.structs.replace(self.read_plan(), cells=())
        return msgspec.structs.replace(
            self, plan=msgspec.Raw(encoded(plan)), runs=msgspec.Raw(msgspec.json.encode([*chosen.values()]))
        )

    def starts(self) -> set[str]:
        """The checkpoints that its runs start from."""
        runs = msgspec.json.decode(self.runs, type=list[_Started])
        return {run.init_from for run in runs if run.init_from}

    def read_plan(self) -> Plan:
        return decoded(Plan, bytes(self.plan))
