"""The other way round: the object is given, and the subject is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking, Block
from engine.spec.questions.choice import CHOICE, balanced, shared_choices
from engine.spec.templates import can_ask, turned_round


def reverse_blocks(facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings) -> list[Block]:
    """The k subjects of a block's facts are the choices of all its k questions; none has another one's object."""
    blocks = []
    for asked in balanced(facts, asking, settings):
        text = turned_round(asking.templates[facts[asked[0]].relation][0])
        pairs = [(facts[index].object, facts[index].subject) for index in asked]
        blocks.append(shared_choices(asked, text, pairs))
    return blocks


def can_ask_back(template: str) -> bool:
    """Whether the template, cut before its subject, asks for it."""
    return can_ask(turned_round(template))


def _first_that_can(templates: Sequence[str], settings: EvaluationSettings) -> tuple[str, ...]:
    return tuple(template for template in templates if can_ask_back(template))[:1]


REVERSE = CHOICE._replace(
    blocks=reverse_blocks,
    can_ask=can_ask_back,
    templates=_first_that_can,
    settings=("num_choices", "questions_per_fact"),
    needs="a question needs a template in which {{subject}} comes last, under `reverse` or among the statements, and "
    "{num_choices} facts of its relation in this set with different objects",
)
