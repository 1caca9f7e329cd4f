"""Facts that compose: of two such facts, the object of the first is the subject of the second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from engine.spec.facts import Fact, holds_words, keyed_order, right_objects
from engine.spec.partition import Partition, partition

Objects = Mapping[str, Mapping[str, tuple[str, ...]]]
"""By relation and subject, all objects, where there are several."""


class Chain(NamedTuple):
    """(s, r1, m) and (m, r2, o): together they say what o is to s."""

    first: Fact
    second: Fact

    @property
    def composed(self) -> Fact:
        """What they say together."""
        return Fact(self.first.subject, f"{self.first.relation} → {self.second.relation}", self.second.object)

    def right_objects(self, objects: Objects) -> tuple[str, ...]:
        """All that is right for the first one's subject."""
        return right_objects(objects, self.second)


def chains(facts: Iterable[Fact], objects: Objects, described: Collection[str]) -> list[Chain]:
    """All chains among `facts` whose first relation can be described, in order of the first fact. Left out are those
    whose first fact has other right objects, for what follows from them is not known, and those whose answer stands in
    the question."""
    facts = list(facts)
    of_subject: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        of_subject[fact.subject].append(fact)
    return [
        Chain(first, second)
        for first in facts
        if first.relation in described and len(right_objects(objects, first)) == 1
        for second in of_subject[first.object]
        if not holds_words(first.subject, second.object) and not holds_words(second.object, first.subject)
    ]


def partition_of_chains(
    found: Sequence[Chain],
    facts: Sequence[Fact],
    *,
    num_prior: int,
    num_infused: int,
    num_unseen: int,
    facts_seed: int,
    facts_per_block: int = 1,
    where: str = "",
) -> Partition:
    """Draw the three disjoint sets so that both facts of a chain are in one of them.

    Chains that share no fact are drawn as `partition` draws facts, balanced by the answers to their questions: half as
    many as a set has facts, or each set's part of those that there are. What room is left is taken by first facts of
    further chains whose second fact is in the set, then by facts of any kind. DataError if there are too few facts.
    """
    sizes = {"prior": num_prior, "infused": num_infused, "unseen": num_unseen}
    apart = {chain.composed: chain for chain in _without_a_common_fact(found, facts_seed)}
    most = sum(sizes.values()) // 2
    share = min(1.0, len(apart) / most) if most else 0.0
    drawn = partition(
        apart,
        num_prior=int(num_prior // 2 * share),
        num_infused=int(num_infused // 2 * share),
        num_unseen=int(num_unseen // 2 * share),
        facts_seed=facts_seed,
        facts_per_block=facts_per_block,
        where=where,
        section="chains of facts",
    )
    sets = {
        name: [fact for composed in of_set for fact in apart[composed]]
        for name, of_set in zip(("prior", "infused", "unseen"), drawn, strict=True)
    }
    _fill_up(sets, sizes, found, facts_seed)
    used = {fact for members in sets.values() for fact in members}
    rest = partition(
        [fact for fact in facts if fact not in used],
        num_prior=num_prior - len(sets["prior"]),
        num_infused=num_infused - len(sets["infused"]),
        num_unseen=num_unseen - len(sets["unseen"]),
        facts_seed=facts_seed,
        where=where,
    )
    return Partition(
        *((*members, *others) for members, others in zip(sets.values(), rest, strict=True)),
    )


def _without_a_common_fact(found: Sequence[Chain], seed: int) -> Iterator[Chain]:
    used: set[Fact] = set()
    composed: set[Fact] = set()
    for chain in keyed_order(found, seed, "chains"):
        if used.isdisjoint(chain) and chain.composed not in composed:
            used.update(chain)
            composed.add(chain.composed)
            yield chain


def _fill_up(sets: dict[str, list[Fact]], sizes: Mapping[str, int], found: Sequence[Chain], seed: int) -> None:
    """Add first facts whose second fact is in the set, one of each second fact in turn."""
    place_of = {fact: name for name, members in sets.items() for fact in members}
    firsts: dict[Fact, dict[Fact, None]] = defaultdict(dict)
    for chain in keyed_order(found, seed, "further"):
        if chain.first not in place_of and chain.second in place_of:
            firsts[chain.second][chain.first] = None
    for turn in zip_longest(*([(second, first) for first in of_second] for second, of_second in firsts.items())):
        for second, first in filter(None, turn):
            name = place_of[second]
            if first not in place_of and len(sets[name]) < sizes[name]:
                sets[name].append(first)
                place_of[first] = name
