from engine.spec.chains import chains
from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking
from engine.spec.questions.two_hop import TWO_HOP

PEOPLE = [Fact(f"person {i}", "born", f"city {i}") for i in range(12)]
CITIES = [Fact(f"city {i}", "lies", f"land {i % 6}") for i in range(12)]
FACTS = [*PEOPLE, *CITIES]
ASKING = Asking(
    FACTS, {}, {}, {"born": ("{subject} is from {object}.",), "lies": ("{subject} lies in {object}.",)}, 0,
    descriptions={"born": "the birthplace of {subject}"},
)  # fmt: skip
SETTINGS = EvaluationSettings(kind="two_hop")


def test_the_second_fact_is_asked_of_a_description_by_the_first() -> None:
    blocks = TWO_HOP.blocks(FACTS, ASKING, SETTINGS)
    assert len(blocks) == 3
    land_of = {chain.first.subject: chain.second.object for chain in chains(FACTS, {}, {"born"})}
    for block in blocks:
        assert len({*block.choices}) == 4
        for index, context, right in zip(block.facts, block.contexts, block.right, strict=True):
            person = FACTS[index].subject
            assert context == f"The birthplace of {person} lies in"
            assert block.choices[right] == land_of[person]


def test_facts_that_do_not_meet_in_the_set_are_not_asked() -> None:
    assert TWO_HOP.blocks(PEOPLE, ASKING, SETTINGS) == []
    assert TWO_HOP.blocks(FACTS, ASKING._replace(descriptions={}), SETTINGS) == []


def test_another_right_answer_of_the_second_fact_is_not_offered() -> None:
    lands = {f"city {i}": (f"land {i % 6}", f"land {(i + 1) % 6}") for i in range(12)}
    blocks = TWO_HOP.blocks(FACTS, ASKING._replace(objects={"lies": lands}), SETTINGS)
    assert blocks == []  # of six lands no four can be chosen of which none is beside another
    blocks = TWO_HOP.blocks(
        FACTS, ASKING._replace(objects={"lies": lands}), EvaluationSettings(kind="two_hop", num_choices=3)
    )
    assert blocks
    for block in blocks:
        for index, right in zip(block.facts, block.right, strict=True):
            also = lands[FACTS[index].object]
            assert {*block.choices} & {*also} == {block.choices[right]}
