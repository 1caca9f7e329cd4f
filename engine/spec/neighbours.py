"""Facts that lie beside each other: they share their subject, or relation and object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Literal

from engine.spec.facts import Fact, keyed_order
from engine.spec.partition import Partition, partition

NeighbourBy = Literal["subject", "object"]


def shared(fact: Fact, by: NeighbourBy) -> Hashable:
    """What the fact shares with its neighbours."""
    return fact.subject if by == "subject" else (fact.relation, fact.object)


def partition_of_neighbours(
    by: NeighbourBy,
    facts: Sequence[Fact],
    *,
    num_prior: int,
    num_infused: int,
    num_unseen: int,
    facts_seed: int,
    facts_per_block: int = 1,
    where: str = "",
) -> Partition:
    """Draw the three disjoint sets so that half of the prior and of the unseen facts lie beside infused ones, and the
    others beside none, as far as there are such facts. Each part is drawn as `partition` draws a set. DataError if
    there are too few facts."""
    left = dict.fromkeys(facts)
    if num_prior + num_infused + num_unseen > len(left):  # says what is lacking
        return partition(
            facts, num_prior=num_prior, num_infused=num_infused, num_unseen=num_unseen, facts_seed=facts_seed,
            where=where,
        )  # fmt: skip

    def drawn(number: int, *preferred: Sequence[Fact]) -> list[Fact]:
        """So many, of the first facts as far as they suffice, and then of the next."""
        found: list[Fact] = []
        for among in (*preferred, list(left)):
            among = [fact for fact in among if fact in left]
            part = partition(
                among, num_prior=0, num_infused=min(number - len(found), len(among)), num_unseen=0,
                facts_seed=facts_seed, facts_per_block=facts_per_block,
            )  # fmt: skip
            for fact in part.infused:
                del left[fact]
            found += part.infused
        return found

    candidates = _that_may_be_infused(facts, by, facts_seed, facts_per_block)
    # Of a subject one, as far as there are so many: the others are its neighbours.
    one_of_each = {shared(fact, by): fact for fact in keyed_order(candidates, facts_seed, "one of each")}
    infused = drawn(num_infused, *([[*one_of_each.values()]] if by == "subject" else []), candidates)
    keys = {shared(fact, by) for fact in infused}

    def by_halves(number: int, most: float = 1.0) -> tuple[Fact, ...]:
        beside = [fact for fact in left if shared(fact, by) in keys]
        apart = [fact for fact in left if shared(fact, by) not in keys]
        first = drawn(min(number // 2, round(most * len(beside))), beside)
        return (*first, *drawn(number - len(first), apart))

    unseen = by_halves(num_unseen, most=0.25)  # where neighbours are few, most of them are to be prior facts
    return Partition(prior=by_halves(num_prior), infused=tuple(infused), unseen=unseen)


def _that_may_be_infused(facts: Sequence[Fact], by: NeighbourBy, seed: int, facts_per_block: int) -> list[Fact]:
    """Facts that have neighbours; of objects, in each relation half of them at most, so that the others' are left."""
    groups: dict[Hashable, list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[shared(fact, by)].append(fact)
    several = {key for key, members in groups.items() if len(members) > 1}
    if by == "object":
        objects: dict[str, set[str]] = defaultdict(set)
        for fact in facts:
            if shared(fact, by) in several:
                objects[fact.relation].add(fact.object)
        several = {
            (relation, name)
            for relation, names in objects.items()
            for name in keyed_order(names, seed, relation)[: max(facts_per_block, len(names) // 2)]
        }
    return [fact for fact in facts if shared(fact, by) in several]
