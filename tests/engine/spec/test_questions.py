from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.spec.facts import Fact
from engine.spec.questions import balanced_blocks


@st.composite
def fact_sets(draw: st.DrawFn) -> list[Fact]:
    """Facts over a few relations, with objects as unevenly frequent as hypothesis likes."""
    counts = draw(st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 8)), st.integers(1, 12), min_size=1))
    return [Fact(f"s{r}.{o}.{i}", f"P{r}", f"o{o}") for (r, o), n in counts.items() for i in range(n)]


@given(fact_sets(), st.integers(2, 5), st.integers(1, 3), st.integers(0, 3))
def test_blocks_are_balanced(facts: list[Fact], k: int, rounds: int, seed: int) -> None:
    blocks, not_asked = balanced_blocks(facts, num_choices=k, questions_per_fact=rounds, facts_seed=seed)
    for block in blocks:
        members = [facts[i] for i in block.facts]
        assert len(members) == k
        assert len({f.object for f in members}) == k
        assert len({f.relation for f in members}) == 1
    asked = Counter(i for block in blocks for i in block.facts)
    assert all(n <= rounds for n in asked.values())
    assert not_asked == len(facts) - len(asked)


@given(fact_sets(), st.integers(2, 5), st.data())
def test_a_scorer_blind_to_the_subject_gets_exactly_chance(facts: list[Fact], k: int, data: st.DataObject) -> None:
    """It sees relation and choices, and must therefore answer all questions of a block alike, whatever it prefers."""
    blocks, _ = balanced_blocks(facts, num_choices=k, questions_per_fact=1, facts_seed=0)
    correct = 0
    for block in blocks:
        choices = [facts[i].object for i in block.facts]
        favourite = data.draw(st.sampled_from(choices))
        correct += sum(facts[i].object == favourite for i in block.facts)
    assert correct * k == sum(len(block.facts) for block in blocks)


def test_as_many_blocks_as_can_be_filled() -> None:
    # 3 objects of 4, 2 and 2 facts, k = 2: four blocks are possible only if the frequent object is always used.
    facts = [Fact(f"s{o}{i}", "P", o) for o, n in (("a", 4), ("b", 2), ("c", 2)) for i in range(n)]
    blocks, not_asked = balanced_blocks(facts, num_choices=2, questions_per_fact=1, facts_seed=0)
    assert len(blocks) == 4
    assert not_asked == 0


def test_the_seed_draws_other_blocks() -> None:
    facts = [Fact(f"s{o}{i}", "P", f"o{o}") for o in range(6) for i in range(6)]
    draws = [balanced_blocks(facts, num_choices=4, questions_per_fact=1, facts_seed=s)[0] for s in (0, 0, 1)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]
