"""Facts: (subject, relation, object) triples from a file, cleaned, and their partition into three sets."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import DataError, nearest, together
from engine.spec.tables import read_rows

COLUMNS = ("subject", "relation", "object")


class Fact(NamedTuple):
    """A triple, each part as text; `relation` is a key of the templates."""

    subject: str
    relation: str
    object: str


class Partition(NamedTuple):
    """Which facts are infused, which lie in the background, and which are never written."""

    prior: tuple[Fact, ...]
    infused: tuple[Fact, ...]
    unseen: tuple[Fact, ...]


def read_facts(path: Path, *, merge_duplicates: bool = False) -> tuple[list[Fact], list[str]]:
    """The usable facts of a JSONL, CSV, TSV or Parquet file in file order, and notes on what was left out.

    Left out, and counted in the notes: facts whose subject contains their object (the name gives the answer
    away), and facts of a (subject, relation) with several objects (the question would have several answers).
    A fact given twice is an error unless `merge_duplicates`. DataError names every line with a fault.
    """
    line_of: dict[Fact, int] = {}
    objects: dict[tuple[str, str], set[str]] = defaultdict(set)
    merged, faults = 0, []
    for line, row in read_rows(path, key="facts.path", required=COLUMNS):
        try:
            fact = _fact(path, line, row)
        except DataError as error:
            faults.append(error)
            continue
        if fact in line_of and not merge_duplicates:
            faults.append(
                DataError(
                    f"the same fact stands on lines {line_of[fact]} and {line}.",
                    where=str(path),
                    value=" · ".join(fact),
                    mend='Delete one of them, or set facts.duplicates = "merge".',
                )
            )
        merged += fact in line_of
        line_of.setdefault(fact, line)
        objects[fact.subject, fact.relation].add(fact.object)
    if faults:
        raise together(faults)
    if not line_of:
        raise DataError("there are no facts in this file.", where=str(path), mend="Give one fact a line.")
    several = [f for f in line_of if len(objects[f.subject, f.relation]) > 1]
    leaking = [f for f in line_of if f.object.casefold() in f.subject.casefold()]
    left_out = {*several, *leaking}
    notes = []
    if merged:
        notes.append(f"{merged} duplicate facts merged")
    if several:
        notes.append(f"{len(several)} facts left out: their subject has several objects in one relation")
    if leaking:
        notes.append(f"{len(leaking)} facts left out: their subject contains their object")
    return [fact for fact in line_of if fact not in left_out], notes


def partition(
    facts: Iterable[Fact],
    *,
    num_prior: int,
    num_infused: int,
    num_unseen: int,
    facts_seed: int,
    relations: list[str] | None = None,
    objects_per_relation: int | None = None,
    where: str = "",
) -> Partition:
    """Draw the three disjoint sets, the same for every cell of a sweep.

    Relations get equal shares as far as they have facts. Within a relation objects get equal numbers of
    facts as far as they have them, and each object's facts are dealt over the three sets in proportion, so that
    the sets ask about the same answers. `objects_per_relation` keeps only a relation's most frequent objects.
    The draw depends on `facts_seed` and on the facts, not on their order in the file. DataError if there are too
    few facts.
    """
    pools: dict[str, dict[str, list[Fact]]] = defaultdict(lambda: defaultdict(list))
    for fact in facts:
        if relations is None or fact.relation in relations:
            pools[fact.relation][fact.object].append(fact)
    for missing in sorted(set(relations or []) - set(pools)):
        raise DataError(
            "no usable fact has this relation.",
            where=where,
            key="facts.relations",
            value=missing,
            mend=nearest(missing, sorted({fact.relation for fact in facts})),
        )
    if objects_per_relation is not None:
        for relation, by_object in pools.items():
            kept = sorted(by_object, key=lambda o: (-len(by_object[o]), o))[:objects_per_relation]
            pools[relation] = defaultdict(list, {o: by_object[o] for o in kept})

    wanted = num_prior + num_infused + num_unseen
    available = sum(len(group) for by_object in pools.values() for group in by_object.values())
    if wanted > available:
        raise DataError(
            f"{wanted:,} facts are wanted (prior {num_prior:,}, infused {num_infused:,}, unseen {num_unseen:,}) "
            f"but only {available:,} can be used.",
            where=where,
            key="facts",
            mend="Ask for fewer, add facts, or allow more relations or objects_per_relation.",
        )

    shares = _equal_shares(wanted, {r: sum(len(g) for g in pools[r].values()) for r in sorted(pools)}, facts_seed)
    drawn: list[Fact] = []
    for relation in sorted(pools):
        by_object = pools[relation]
        counts = _equal_shares(shares[relation], {o: len(by_object[o]) for o in sorted(by_object)}, facts_seed)
        for name in keyed_order(by_object, facts_seed, relation):
            drawn.extend(keyed_order(by_object[name], facts_seed)[: counts[name]])
    return _deal(drawn, num_prior, num_infused, num_unseen)


def keyed_order(items: Iterable[Any], *key: object) -> list[Any]:
    """`items` in an order fixed by `key` alone: sorted by the SHA-256 of key and item, hence the same everywhere."""

    def digest(item: object) -> bytes:
        return hashlib.sha256("\x1f".join(map(str, (*key, item))).encode()).digest()

    return sorted(items, key=digest)


def _deal(drawn: list[Fact], num_prior: int, num_infused: int, num_unseen: int) -> Partition:
    """Deal neighbours (facts of one object) to the three sets in proportion to what each still lacks."""
    sizes = {"prior": num_prior, "infused": num_infused, "unseen": num_unseen}
    sets: dict[str, list[Fact]] = {name: [] for name in sizes}
    for index, fact in enumerate(drawn, start=1):
        lag = {name: index * size / len(drawn) - len(sets[name]) for name, size in sizes.items()}
        behind = [name for name in sizes if len(sets[name]) < sizes[name]]
        sets[max(behind, key=lambda name: lag[name])].append(fact)
    return Partition(*(tuple(sets[name]) for name in ("prior", "infused", "unseen")))


def _equal_shares(total: int, capacities: dict[str, int], seed: int) -> dict[str, int]:
    """`total` split as evenly as the capacities allow; what does not divide goes to a keyed choice of names."""
    shares = dict.fromkeys(capacities, 0)
    order = keyed_order(capacities, seed, "share")
    left = total
    while left > 0:
        open_names = [name for name in order if shares[name] < capacities[name]]
        each = left // len(open_names)
        for name in open_names:
            given = min(max(each, 1), capacities[name] - shares[name], left)
            shares[name] += given
            left -= given
    return shares


def _fact(path: Path, line: int, row: dict[str, Any]) -> Fact:
    values = []
    for column in COLUMNS:
        value = row.get(column)
        text = " ".join(value.split()) if isinstance(value, str) else ""
        if not text or any(not c.isprintable() for c in text):
            raise DataError(
                "expected text here, printable and not empty.",
                where=f"{path}, line {line}",
                key=column,
                value=value,
                mend=f"Each fact needs {', '.join(COLUMNS)}.",
            )
        values.append(text)
    return Fact(*values)
