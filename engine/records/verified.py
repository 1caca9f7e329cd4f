"""What looking through a sweep has found: the document of `kitui verify`."""

from __future__ import annotations

from engine.records.record import SCHEMA_VERSION, Record


class VerifiedSweep(Record, frozen=True, kw_only=True):
    """How many things were looked at, and what is wrong, in words."""

    name: str
    num_looked_at: int
    faults: tuple[str, ...]


class VerifiedDocument(Record, frozen=True, kw_only=True):
    """What `kitui verify --json` prints."""

    schema_version: int = SCHEMA_VERSION
    sweeps: tuple[VerifiedSweep, ...]
