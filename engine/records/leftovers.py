"""What a workspace could do without: the document of `kitui clean`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from engine.records.record import SCHEMA_VERSION, Record

Kind = Literal["runs", "weights", "tokens", "facts", "temporary"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Leftover(Record, frozen=True, kw_only=True):
    """One file or folder, by its path below the workspace."""

    kind: Kind
    path: str
    num_bytes: int | None
    """None on another host: nobody has looked there."""
    host: str


class LeftoversDocument(Record, frozen=True, kw_only=True):
    """What could go, and what stays though somebody might think it could."""

    schema_version: int = SCHEMA_VERSION
    found: tuple[Leftover, ...]
    kept: tuple[str, ...] = ()
    removed: bool = False
    """Whether it was removed; on other hosts, when they next answer."""

    def of(self, kind: Kind) -> list[Leftover]:
        return [one for one in self.found if one.kind == kind]


def num_bytes(found: Iterable[Leftover]) -> int:
    """What goes with these on this machine."""
    return sum(one.num_bytes or 0 for one in found)
