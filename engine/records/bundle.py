"""A launched sweep as it travels: from the process that read the file, through the queue, to where it is prepared."""

from __future__ import annotations

from pathlib import Path

from engine.records.metrics import Record
from engine.records.results import Plan, validated
from engine.records.workspace import read_json
from engine.spec.runspec import CorpusSpec, FactSets, RunSpec


class SweepBundle(Record):
    """Everything a sweep needs, by value: the files it was read from may change or go away afterwards."""

    sweep_toml: str
    plan: Plan
    corpus: CorpusSpec
    facts: FactSets
    runs: tuple[RunSpec, ...]
    """Each run once, in the order to start them; cells refer to them by id."""
    slots: int | None
    max_attempts: int


def read_bundle(path: Path) -> SweepBundle | None:
    data = read_json(path)
    return None if data is None else validated(SweepBundle, data, path)
