"""The model goes on by itself: are the likeliest tokens after the question those of the object?"""

from __future__ import annotations

from collections.abc import Sequence

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import NO_CHANCE, Asking, Block, QuestionKind, the_one_asked
from engine.spec.questions.own_choices import QUESTION
from engine.spec.templates import answer_prefix, ask, can_ask


def cloze_blocks(facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings) -> list[Block]:
    """One question a block. Its choices are all that is right: the object, whose log-probability is measured, its other
    names, and the subject's other objects with theirs, but for those that another set is asked about. Where there are
    questions of one's own, those are asked."""
    blocks, own_set, drawn = [], {*facts}, {*asking.drawn}
    for index, fact in enumerate(facts):
        for own in asking.own.get(fact.subject, ()):
            asked = settings.question_form.replace(QUESTION, own.question).rstrip(" ")
            blocks.append(Block((index,), (asked,), (own.choices[own.right],), (0,)))
        if not asking.own and asking.templates.get(fact.relation):
            text = asking.templates[fact.relation][0]
            others = (fact._replace(object=name) for name in asking.right_for(fact) if name != fact.object)
            names = [fact.object, *(other.object for other in others if other in own_set or other not in drawn)]
            right = dict.fromkeys(text for name in names for text in (name, *asking.aliases.get(name, ())))
            context = (ask(text, fact.subject),)
            blocks.append(Block((index,), context, tuple(right), right=(0,), prefix=answer_prefix(text)))
    return blocks


CLOZE = QuestionKind(
    cloze_blocks,
    can_ask,
    the_one_asked,
    num_choices=lambda blocks: NO_CHANCE,
    settings=("question_template", "question_form"),
    needs="a question needs a template in which {{object}} comes last",
    limited_by="kind",
    mend="Ask for more facts.",
    is_free=True,
)
