"""Two facts of the set in one question: what is asked of the first one's subject is said by both together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from engine.spec.chains import chains
from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking, Block
from engine.spec.questions.choice import CHOICE, choice_blocks
from engine.spec.templates import within


def two_hop_blocks(facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings) -> list[Block]:
    """As `choice`, about the facts that chains compose to, each in the second one's template, where a description by
    the first one's relation stands for its subject. A question counts as one about the first fact."""
    found = [
        chain
        for chain in chains(facts, asking.objects, asking.descriptions)
        if asking.templates.get(chain.second.relation)
    ]
    templates, objects = {}, defaultdict[str, dict[str, tuple[str, ...]]](dict)
    for chain in found:
        subject, relation, _ = chain.composed
        description = asking.descriptions[chain.first.relation]
        templates[relation] = tuple(within(text, description) for text in asking.templates[chain.second.relation])
        right = chain.right_objects(asking.objects)
        if len(right) > 1:
            objects[relation][subject] = right
    place_of = {fact: index for index, fact in enumerate(facts)}
    owners = [place_of[chain.first] for chain in found]
    composed = [chain.composed for chain in found]
    blocks = choice_blocks(composed, asking._replace(templates=templates, objects=objects), settings)
    return [block._replace(facts=tuple(owners[index] for index in block.facts)) for block in blocks]


TWO_HOP = CHOICE._replace(
    blocks=two_hop_blocks,
    needs="a question needs another fact of this set whose subject is this one's object, a `description` of this one's "
    "relation in the templates file, and {num_choices} such pairs of the same relations with different answers",
    mend="Give descriptions, ask for more facts, or for fewer choices.",
)
