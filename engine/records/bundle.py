"""A launched sweep as it travels: from the process that read the file, through the queue, to where it is prepared."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from engine.errors import DamageError
from engine.records.plan import Plan
from engine.records.raw_bundle import RawBundle
from engine.records.record import Record, decoded, encoded, read_record
from engine.records.workspace import read_json
from engine.spec.runspec import CorpusSpec, FactSets, RunSpec
from engine.spec.section import Section

_T = TypeVar("_T", bound=Section)


class SweepBundle(Record, frozen=True, kw_only=True):
    """Everything a sweep needs, by value: the files it was read from may change or go away afterwards."""

    sweep_toml: str
    origin: str | None = None
    """The file it was read from, where that is to be changed later."""
    plan: Plan
    corpus: CorpusSpec
    facts: FactSets
    runs: tuple[RunSpec, ...]
    """Each run once, in the order to start them; cells refer to them by id."""
    slots: int | None
    max_attempts: int
    max_gpu_hours: float | None = None
    max_disk_bytes: int | None = None


def whole_bundle(raw: RawBundle) -> SweepBundle:
    """Everything in it, validated. msgspec.MsgspecError where it is something else."""
    return decoded(SweepBundle, encoded(raw))


def read_bundle(path: Path) -> SweepBundle | None:
    """The bundle in a file, or None where there is none. DamageError where it is something else."""
    return read_record(SweepBundle, path)


def read_section(model: type[_T], path: Path) -> _T:
    """A spec or fact sets as a launch wrote them. DamageError where the file is gone or is something else; StateError
    where it cannot be read now."""
    data = read_json(path)
    if data is None:
        raise DamageError("this file of the run is missing.", where=str(path), mend="Launch the sweep again.")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DamageError(f"written by another version of kitui? {first['msg']}.", where=str(path), key=key) from None
