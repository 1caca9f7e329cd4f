from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking
from engine.spec.questions.neighbour import NEIGHBOUR

# Each of the first eight subjects has an infused fact and a prior one; the prior set has eight more of others.
INFUSED = [Fact(f"s{i}", "born", f"city {i % 4}") for i in range(8)]
PRIOR = [Fact(f"s{i}", "works", f"firm {i % 4}") for i in range(16)]
UNSEEN = [Fact(f"s{i}", "plays", f"game {i % 4}") for i in range(4, 12)]
TEMPLATES = dict.fromkeys(("born", "works", "plays"), ("{subject} has {object}.",))


def asked(fact_set: str, by: str = "subject", *, prior: list[Fact] = PRIOR) -> list[tuple[int, str, str]]:
    """Index, context and right answer of each question."""
    sets = {"infused": INFUSED, "verbatim": INFUSED, "prior": prior, "unseen": UNSEEN}
    asking = Asking([*prior, *INFUSED, *UNSEEN], {}, {}, TEMPLATES, 0, fact_set=fact_set, infused=INFUSED, prior=prior)
    settings = EvaluationSettings(kind="neighbour", neighbour_by=by)  # type: ignore[arg-type]
    blocks = NEIGHBOUR.blocks(sets[fact_set], asking, settings)
    return [
        (index, context, block.choices[right])
        for block in blocks
        for index, context, right in zip(block.facts, block.contexts, block.right, strict=True)
    ]


def test_beside_infused_facts_prior_ones_are_asked() -> None:
    assert sorted(asked("infused")) == [(i, f"s{i} has", f"firm {i % 4}") for i in range(8)]
    assert asked("verbatim") == []


def test_the_prior_set_is_what_lies_beside_none() -> None:
    assert sorted(asked("prior")) == [(i, f"s{i} has", f"firm {i % 4}") for i in range(8, 16)]


def test_of_unseen_facts_those_beside_infused_ones() -> None:
    assert [index for index, *_ in sorted(asked("unseen"))] == [0, 1, 2, 3]


def test_an_object_is_shared_within_a_relation() -> None:
    assert asked("infused", "object") == []
    born = [Fact(f"t{i}", "born", f"city {i % 4}") for i in range(12)]
    beside = asked("infused", "object", prior=born)
    assert len(beside) == 8  # each prior fact beside one infused fact at most
    assert len({context for _, context, _ in beside}) == 8
    assert all(answer == INFUSED[index].object for index, _, answer in beside)
    assert asked("prior", "object", prior=born) == []
