from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.spec.fact_files import read_facts
from engine.spec.facts import Fact
from engine.spec.partition import of_frequent_objects, of_relations, partition


def pool(num_relations: int, num_objects: int, per_object: int) -> list[Fact]:
    return [
        Fact(f"s{r}-{o}-{i}", f"P{r}", f"o{r}-{o}")
        for r in range(num_relations)
        for o in range(num_objects)
        for i in range(per_object)
    ]


def test_partition_is_balanced_over_relations_and_objects() -> None:
    sets = partition(pool(4, 10, 8), num_prior=160, num_infused=80, num_unseen=40, facts_seed=3)
    assert [len(s) for s in sets] == [160, 80, 40]
    assert len({f for s in sets for f in s}) == 280
    for members in sets:
        assert len(set(Counter(f.relation for f in members).values())) == 1
        assert max(Counter(f.object for f in members).values()) - min(Counter(f.object for f in members).values()) <= 1


@given(st.integers(0, 5), st.randoms())
def test_partition_depends_on_the_facts_not_on_their_order(seed: int, random: object) -> None:
    facts = pool(3, 6, 5)
    shuffled = facts.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    sizes = {"num_prior": 30, "num_infused": 20, "num_unseen": 10, "facts_seed": seed}
    assert partition(facts, **sizes) == partition(shuffled, **sizes)
    other = partition(facts, **(sizes | {"facts_seed": seed + 1}))
    assert other != partition(facts, **sizes)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(4, 40), min_size=1),
    st.lists(st.integers(0, 12), min_size=3, max_size=3),
    st.integers(1, 5),
)
def test_relations_get_whole_blocks_of_each_set(
    per_relation: dict[str, int], blocks: list[int], facts_per_block: int
) -> None:
    facts = [Fact(f"s{r}{i}", r, f"o{i % 7}") for r, n in per_relation.items() for i in range(n)]
    num_prior, num_infused, num_unseen = (n * facts_per_block for n in blocks)
    sizes = {"num_prior": num_prior, "num_infused": num_infused, "num_unseen": num_unseen, "facts_seed": 0}
    if (
        not 0
        < num_prior + num_infused + num_unseen
        <= sum(n // facts_per_block * facts_per_block for n in per_relation.values())
    ):
        return
    sets = partition(facts, **sizes, facts_per_block=facts_per_block)
    assert [len(one) for one in sets] == [num_prior, num_infused, num_unseen]
    assert len({*sets.prior, *sets.infused, *sets.unseen}) == sum(len(one) for one in sets)
    for one in sets:
        assert all(count % facts_per_block == 0 for count in Counter(fact.relation for fact in one).values())


def test_only_the_most_frequent_objects() -> None:
    facts = [Fact(f"s{o}-{i}", "P1", f"o{o}") for o in range(10) for i in range(10 - o)]
    assert {fact.object for fact in of_frequent_objects(facts, 4)} == {"o0", "o1", "o2", "o3"}
    assert of_frequent_objects(facts, None) == facts


def test_too_few_facts_name_what_there_is() -> None:
    with pytest.raises(DataError, match=r"50 facts are wanted.*only 30"):
        partition(pool(3, 2, 5), num_prior=30, num_infused=10, num_unseen=10, facts_seed=0)


def test_a_relation_that_no_fact_has_is_named() -> None:
    facts = pool(3, 2, 5)
    assert {fact.relation for fact in of_relations(facts, ["P1"], "here")} == {"P1"}
    assert of_relations(facts, None, "here") == facts
    with pytest.raises(DataError, match="P9"):
        of_relations(facts, ["P1", "P9"], "here")


def test_the_sample_facts_are_what_they_say(samples: Path) -> None:
    facts, *_, notes = read_facts(samples / "facts.jsonl")
    assert len(facts) >= 2_500
    assert notes == []  # nothing leaking, ambiguous or twice
    relations = Counter(f.relation for f in facts)
    assert len(relations) >= 8
    for relation in relations:
        objects = Counter(f.object for f in facts if f.relation == relation)
        assert len(objects) >= 10
        assert min(objects.values()) >= 4
    assert len({f.subject for f in facts}) == len(facts)
