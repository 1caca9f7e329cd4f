"""A launched sweep as it is handed on: its large parts stay the JSON they are.

Whoever does not look into ten thousand run specs neither validates them nor writes them anew, nor loads pydantic.
"""

from __future__ import annotations

import msgspec

from engine.records.plan import Plan
from engine.records.record import Record, decoded


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

    def read_plan(self) -> Plan:
        return decoded(Plan, bytes(self.plan))
