"""The same choices asked in each of a relation's question templates: their mean, and how far the templates spread."""

from __future__ import annotations

from collections.abc import Sequence

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking, Block
from engine.spec.questions.choice import CHOICE, choice_blocks


def paraphrase_blocks(facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings) -> list[Block]:
    """The blocks of `choice`, once for each template that all relations have."""
    fewest = min((len(templates) for templates in asking.templates.values() if templates), default=0)
    return [block for t in range(fewest) for block in choice_blocks(facts, asking, settings, template=t)]


PARAPHRASE = CHOICE._replace(
    blocks=paraphrase_blocks,
    templates=lambda templates, settings: tuple(templates),
    settings=("num_choices", "questions_per_fact"),
)
