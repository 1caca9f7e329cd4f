from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking, Block
from engine.spec.questions.choice import choice_blocks

TEMPLATES = dict.fromkeys(("P", "P0", "P1", "P2"), ("{subject} is of {object}.",))


def blocks_of(facts: list[Fact], k: int, *, rounds: int = 1, seed: int = 0) -> list[Block]:
    settings = EvaluationSettings(num_choices=k, questions_per_fact=rounds)
    return choice_blocks(facts, Asking(facts, {}, {}, TEMPLATES, seed), settings)


@st.composite
def fact_sets(draw: st.DrawFn) -> list[Fact]:
    """Facts over a few relations, with objects as unevenly frequent as hypothesis likes."""
    counts = draw(st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 8)), st.integers(1, 12), min_size=1))
    return [Fact(f"s{r}.{o}.{i}", f"P{r}", f"o{o}") for (r, o), n in counts.items() for i in range(n)]


@given(fact_sets(), st.integers(2, 5), st.integers(1, 3), st.integers(0, 3))
def test_blocks_are_balanced(facts: list[Fact], k: int, rounds: int, seed: int) -> None:
    blocks = blocks_of(facts, k, rounds=rounds, seed=seed)
    for block in blocks:
        members = [facts[i] for i in block.facts]
        assert len(members) == k
        assert [block.choices[place] for place in block.right] == [fact.object for fact in members]
        assert len({f.object for f in members}) == k
        assert len({f.relation for f in members}) == 1
    asked = Counter(i for block in blocks for i in block.facts)
    assert all(n <= rounds for n in asked.values())


@given(fact_sets(), st.integers(2, 5), st.data())
def test_a_scorer_blind_to_the_subject_gets_exactly_chance(facts: list[Fact], k: int, data: st.DataObject) -> None:
    """It sees relation and choices, and must therefore answer all questions of a block alike, whatever it prefers."""
    blocks = blocks_of(facts, k)
    correct = 0
    for block in blocks:
        favourite = data.draw(st.sampled_from(block.choices))
        correct += sum(facts[i].object == favourite for i in block.facts)
    assert correct * k == sum(len(block.facts) for block in blocks)


def test_as_many_blocks_as_can_be_filled() -> None:
    # 3 objects of 4, 2 and 2 facts, k = 2: four blocks are possible only if the frequent object is always used.
    facts = [Fact(f"s{o}{i}", "P", o) for o, n in (("a", 4), ("b", 2), ("c", 2)) for i in range(n)]
    blocks = blocks_of(facts, 2)
    assert len(blocks) == 4
    assert len({index for block in blocks for index in block.facts}) == len(facts)


def test_the_seed_draws_other_blocks() -> None:
    facts = [Fact(f"s{o}{i}", "P", f"o{o}") for o in range(6) for i in range(6)]
    draws = [blocks_of(facts, 4, seed=seed) for seed in (0, 0, 1)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_no_question_offers_another_right_answer() -> None:
    objects = {f"s{i}": (f"o{i % 5}", f"o{(i + 1) % 5}") for i in range(40)}
    facts = [Fact(subject, "P", name) for subject, names in objects.items() for name in names]
    settings = EvaluationSettings(num_choices=3, questions_per_fact=2)
    blocks = choice_blocks(facts, Asking(facts, {"P": objects}, {}, TEMPLATES, 0), settings)
    assert len(blocks) > 40
    for block in blocks:
        assert len({*block.choices}) == 3
        for fact, right in zip((facts[i] for i in block.facts), block.right, strict=True):
            assert [choice in objects[fact.subject] for choice in block.choices].count(True) == 1
            assert block.choices[right] == fact.object
