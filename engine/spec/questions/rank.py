"""All objects of the relation are offered: which place does the right one take?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Asking, Block, QuestionKind, the_one_asked
from engine.spec.templates import answer_prefix, ask, can_ask


def rank_blocks(facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings) -> list[Block]:
    """A block for each relation and list of choices: all objects of the relation, but for others that are right too."""
    objects: dict[str, set[str]] = defaultdict(set)
    for fact in asking.drawn:
        objects[fact.relation].add(fact.object)
    members: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
    for index, fact in enumerate(facts):
        if asking.templates.get(fact.relation) and len(objects[fact.relation]) > 1:
            others = {*asking.right_for(fact)} - {fact.object}
            members[fact.relation, tuple(sorted(objects[fact.relation] - others))].append(index)
    blocks = []
    for (relation, choices), asked in sorted(members.items()):
        text = asking.templates[relation][0]
        blocks.append(
            Block(
                tuple(asked),
                contexts=tuple(ask(text, facts[index].subject) for index in asked),
                choices=choices,
                right=tuple(choices.index(facts[index].object) for index in asked),
                prefix=answer_prefix(text),
                relation=relation,
            )
        )
    return [block for block in blocks if len(block.choices) > 1]


def _of_the_most_frequent(blocks: Sequence[Block]) -> float:
    """Whoever does not look at the subject does best with each relation's most frequent answer."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for block in blocks:
        answers[block.relation].update(block.choices[place] for place in block.right)
    right = sum(max(of_relation.values()) for of_relation in answers.values())
    return sum(len(block.facts) for block in blocks) / right


RANK = QuestionKind(
    rank_blocks,
    can_ask,
    the_one_asked,
    _of_the_most_frequent,
    settings=("question_template",),
    needs="a question needs two objects of its relation",
    limited_by="kind",
    mend="Ask for more facts, or for another kind of question.",
)
