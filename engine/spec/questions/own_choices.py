"""Questions of one's own, each with its options."""

from __future__ import annotations

from collections.abc import Sequence

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking, Block, QuestionKind, of_choices

QUESTION = "{question}"


def own_blocks(facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings) -> list[Block]:
    """Each question a block of its own, for its options are its own."""
    blocks = []
    for index, fact in enumerate(facts):
        for own in asking.own.get(fact.subject, ()):
            if len(own.choices) > 1:
                context = settings.question_form.replace(QUESTION, own.question).rstrip(" ")
                blocks.append(Block((index,), (context,), own.choices, (own.right,)))
    return blocks


OWN_CHOICES = QuestionKind(
    own_blocks,
    can_ask=lambda template: False,
    templates=lambda templates, settings: (),
    num_choices=of_choices,
    settings=("question_form",),
    needs="it needs a question with choices in evaluation.questions whose id is its subject, or the text's id",
    limited_by="questions",
    mend="Give questions about it, or say by evaluation.question_columns where their ids stand.",
)
