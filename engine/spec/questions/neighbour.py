"""Facts that share their subject or object with infused ones: does what is infused leave alone what lies beside it?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.neighbours import shared
from engine.spec.questions.base import Asking, Block
from engine.spec.questions.choice import CHOICE, choice_blocks


def neighbour_blocks(facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings) -> list[Block]:
    """As `choice`, about prior facts in place of the infused ones that they lie beside, each beside one of them; of the
    prior set, about those that lie beside none; of the unseen set, about those that do."""
    by = settings.neighbour_by
    infused = {shared(fact, by) for fact in asking.infused}
    if asking.fact_set == "verbatim":
        return []  # what is asked about is not what was infused
    if asking.fact_set in ("prior", "unseen"):
        is_beside = asking.fact_set == "unseen"
        owners = [index for index, fact in enumerate(facts) if (shared(fact, by) in infused) == is_beside]
        asked = [facts[index] for index in owners]
    else:
        beside: dict[Hashable, list[Fact]] = defaultdict(list)
        for fact in reversed(asking.prior):
            beside[shared(fact, by)].append(fact)
        owners, asked = [], []
        for index, fact in enumerate(facts):
            if beside[shared(fact, by)]:
                owners.append(index)
                asked.append(beside[shared(fact, by)].pop())
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
