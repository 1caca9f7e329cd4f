"""Facts that share their subject or object with infused ones: does what is infused leave alone what lies beside it?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking, Block
from engine.spec.questions.choice import CHOICE, choice_blocks


def neighbour_blocks(facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings) -> list[Block]:
    """As `choice`, about prior facts in place of the infused ones that they lie beside, each beside one of them; of the
    prior set, about those that lie beside none; of the unseen set, about those that do."""

    def shared(fact: Fact) -> tuple[str, ...]:
        return (fact.subject,) if settings.neighbour_by == "subject" else (fact.relation, fact.object)

    infused = {shared(fact) for fact in asking.infused}
    if asking.fact_set == "verbatim":
        return []  # what is asked about is not what was infused
    if asking.fact_set in ("prior", "unseen"):
        is_beside = asking.fact_set == "unseen"
        owners = [index for index, fact in enumerate(facts) if (shared(fact) in infused) == is_beside]
        asked = [facts[index] for index in owners]
    else:
        beside: dict[tuple[str, ...], list[Fact]] = defaultdict(list)
        for fact in reversed(asking.prior):
            beside[shared(fact)].append(fact)
        owners, asked = [], []
        for index, fact in enumerate(facts):
            if beside[shared(fact)]:
                owners.append(index)
                asked.append(beside[shared(fact)].pop())
    blocks = choice_blocks(asked, asking, settings)
    return [block._replace(facts=tuple(owners[index] for index in block.facts)) for block in blocks]


NEIGHBOUR = CHOICE._replace(
    blocks=neighbour_blocks,
    settings=(*CHOICE.settings, "neighbour_by"),
    needs="a question is about a prior fact with the {neighbour_by} of an infused one, of the prior set about one with "
    "the {neighbour_by} of none, and needs {num_choices} such facts of a relation with different objects",
    limited_by="neighbour_by",
    mend='Ask for more prior and infused facts, or take the other of "subject" and "object".',
    may_be_unasked=("prior", "unseen"),
)
