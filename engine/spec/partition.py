"""The partition: which facts are prior, infused and unseen, the same for every cell of a sweep."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from engine.errors import DataError, nearest
from engine.spec.facts import Fact, keyed_order


class Partition(NamedTuple):
    """Which facts are infused, which lie in the background, and which are never written."""

    prior: tuple[Fact, ...]
    infused: tuple[Fact, ...]
    unseen: tuple[Fact, ...]


def partition(
    facts: Iterable[Fact],
    *,
    num_prior: int,
    num_infused: int,
    num_unseen: int,
    facts_seed: int,
    facts_per_block: int = 1,
    where: str = "",
    section: str = "facts",
) -> Partition:
    """Draw the three disjoint sets.

    Relations get equal shares as far as they have facts, and of each set in multiples of `facts_per_block` as far as
    the numbers allow, so that few facts are left over when questions are put into blocks. Within a relation objects get
    equal numbers of facts as far as they have them, and each object's facts are dealt over the three sets in
    proportion, so that the sets ask about the same answers. The draw depends on `facts_seed` and on the facts, not on
    their order in the file. DataError if there are too few facts. `section`: of the sweep file, that they come from.
    """
    pools: dict[str, dict[str, list[Fact]]] = defaultdict(lambda: defaultdict(list))
    for fact in facts:
        pools[fact.relation][fact.object].append(fact)

    sizes = {"prior": num_prior, "infused": num_infused, "unseen": num_unseen}
    capacities = {relation: sum(map(len, pools[relation].values())) for relation in sorted(pools)}
    wanted, available = sum(sizes.values()), sum(capacities.values())
    if wanted > available:
        raise DataError(
            f"{wanted:,} {section} are wanted (prior {num_prior:,}, infused {num_infused:,}, unseen {num_unseen:,}) "
            f"but only {available:,} can be used.",
            where=where,
            key=section,
            mend="Ask for fewer, or add some; of facts, more relations or objects_per_relation may be allowed.",
        )

    shares = _shares_of_sets(sizes, capacities, facts_per_block, facts_seed)
    sets: dict[str, list[Fact]] = {name: [] for name in sizes}
    for relation, of_sets in shares.items():
        by_object = pools[relation]
        capacity = {name: len(by_object[name]) for name in sorted(by_object)}
        counts = _equal_shares(sum(of_sets.values()), capacity, facts_seed)
        drawn: list[Fact] = []
        for name in keyed_order(by_object, facts_seed, relation):
            drawn.extend(keyed_order(by_object[name], facts_seed)[: counts[name]])
        for name, dealt in _dealt(drawn, of_sets).items():
            sets[name].extend(dealt)
    return Partition(*(tuple(sets[name]) for name in ("prior", "infused", "unseen")))


def of_relations(facts: Sequence[Fact], relations: Sequence[str] | None, where: str) -> list[Fact]:
    """The facts that have one of these relations; all where none are named. DataError for one that no fact has."""
    known = {fact.relation for fact in facts}
    for missing in sorted({*(relations or ())} - known):
        raise DataError(
            "no usable fact has this relation.",
            where=where,
            key="facts.relations",
            value=missing,
            mend=nearest(missing, sorted(known)),
        )
    return [fact for fact in facts if relations is None or fact.relation in relations]


def of_frequent_objects(facts: Sequence[Fact], objects_per_relation: int | None) -> list[Fact]:
    """The facts that have one of their relation's most frequent objects; all without a limit."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for fact in facts:
        counts[fact.relation][fact.object] += 1
    kept = {
        relation: {*sorted(of_relation, key=lambda name: (-of_relation[name], name))[:objects_per_relation]}
        for relation, of_relation in counts.items()
    }
    return [fact for fact in facts if fact.object in kept[fact.relation]]


def _shares_of_sets(
    sizes: Mapping[str, int], capacities: Mapping[str, int], block: int, seed: int
) -> dict[str, dict[str, int]]:
    """By relation and set, how many facts. First as many whole blocks as each relation's equal share holds, where most
    is lacking first; what is left goes wherever there is room, whole blocks before single facts."""
    equal = _equal_shares(sum(sizes.values()), capacities, seed)
    total = max(1, sum(sizes.values()))
    shares = {relation: dict.fromkeys(sizes, 0) for relation in capacities}
    left, room = dict(sizes), dict(equal)
    for step in sorted({block, 1}, reverse=True):
        for limits in (equal, capacities):
            room = {relation: limits[relation] - sum(shares[relation].values()) for relation in capacities}
            order = {relation: rank for rank, relation in enumerate(keyed_order(capacities, seed, "sets"))}

            def lag(relation: str, name: str) -> float:
                return shares[relation][name] - equal[relation] * sizes[name] / total

            queue = [(lag(r, n), order[r], n, r) for r in capacities for n in sizes]
            heapq.heapify(queue)
            while queue:
                _, rank, name, relation = heapq.heappop(queue)
                if left[name] >= step and room[relation] >= step:
                    shares[relation][name] += step
                    left[name] -= step
                    room[relation] -= step
                    heapq.heappush(queue, (lag(relation, name), rank, name, relation))
    return shares


def _dealt(drawn: Sequence[Fact], sizes: Mapping[str, int]) -> dict[str, list[Fact]]:
    """Deal neighbours (facts of one object) to the sets in proportion to what each still lacks."""
    sets: dict[str, list[Fact]] = {name: [] for name in sizes}
    for index, fact in enumerate(drawn, start=1):
        lag = {name: index * size / len(drawn) - len(sets[name]) for name, size in sizes.items()}
        behind = [name for name in sizes if len(sets[name]) < sizes[name]]
        sets[max(behind, key=lambda name: lag[name])].append(fact)
    return sets


def _equal_shares(total: int, capacities: Mapping[str, int], seed: int) -> dict[str, int]:
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
