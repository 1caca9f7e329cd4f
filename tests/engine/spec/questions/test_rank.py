from collections import Counter
from itertools import product

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking
from engine.spec.questions.rank import RANK

TEMPLATES = dict.fromkeys(("P", "Q"), ("{subject} is of {object}.",))
FACTS = [Fact(f"s{r}{i}", r, f"o{i % 5 if i < 10 else 0}") for r, i in product("PQ", range(14))]


def test_all_objects_are_offered_but_for_others_that_are_right() -> None:
    objects = {"P": {"sP0": ("o0", "o3")}}
    blocks = RANK.blocks(FACTS, Asking(FACTS, objects, {}, TEMPLATES, 0), EvaluationSettings(kind="rank"))
    assert sum(len(block.facts) for block in blocks) == len(FACTS)
    for block in blocks:
        for index, context, right in zip(block.facts, block.contexts, block.right, strict=True):
            fact = FACTS[index]
            assert block.choices[right] == fact.object
            assert context == f"{fact.subject} is of"
            assert {*block.choices} == {f"o{i}" for i in range(5)} - ({"o3"} if fact.subject == "sP0" else set())


def test_a_scorer_blind_to_the_subject_is_at_chance_at_best() -> None:
    blocks = RANK.blocks(FACTS, Asking(FACTS, {}, {}, TEMPLATES, 0), EvaluationSettings(kind="rank"))
    assert len(blocks) == 2
    best = sum(Counter(block.right).most_common(1)[0][1] for block in blocks)
    assert best / len(FACTS) == 1 / RANK.num_choices(blocks) == 6 / 14
