"""How facts are asked about: the settings, and the kinds of question, each of them one entry of `KINDS`.

A kind says which facts are asked, and which texts the model is to choose from. Questions come in blocks: those of a
block share their choices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from engine.spec.facts import Fact, keyed_order
from engine.spec.numbers import parse_count
from engine.spec.section import Count, PositiveCount, Section, up_to


def _known_kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}")
    return name


class EvaluationSettings(Section):
    """How runs are scored, and how often."""

    kind: Annotated[str, AfterValidator(_known_kind)] = "choice"
    """Which kind of question is asked."""
    num_choices: Annotated[int, BeforeValidator(parse_count), Field(ge=2, le=26)] = 4
    question_template: Count = 0
    """Which of a relation's question templates is asked, counted from 0."""
    questions_per_fact: Annotated[PositiveCount, up_to(1_000)] = 1
    every_tokens: PositiveCount | None = None
    """Score during training each time so many tokens have passed; always at the end."""

    def identity(self) -> dict[str, Any]:
        """What of this changes the questions asked. A setting that the kind makes no use of does not, so that a new
        setting leaves the questions of older kinds, and the results they gave, what they were."""
        used = self.model_dump(mode="json", include={*KINDS[self.kind].settings})
        return used if self.kind == "choice" else used | {"kind": self.kind}


class Block(NamedTuple):
    """Questions that share their choices. `facts` are indices into the fact set, one a question; `choices` are texts;
    `right[j]` is the place in `choices` of question j's right answer."""

    facts: tuple[int, ...]
    choices: tuple[str, ...]
    right: tuple[int, ...]


class QuestionKind(NamedTuple):
    """One kind of question."""

    blocks: Callable[[Sequence[Fact], Sequence[Fact], EvaluationSettings, int], list[Block]]
    """Of the facts to ask about, all facts of the partition, the settings, and the seed of the facts: the questions.
    They depend on nothing else."""
    settings: tuple[str, ...]
    """The names of the evaluation's settings that its questions depend on."""
    needs: str
    """What a fact needs to be asked about, with settings in braces."""
    limited_by: str
    """The setting that the user may change where too few facts can be asked about."""
    mend: str

    def requirement(self, settings: EvaluationSettings) -> str:
        return self.needs.format(**settings.model_dump())


def balanced_blocks(
    facts: Sequence[Fact], drawn: Sequence[Fact], settings: EvaluationSettings, facts_seed: int
) -> list[Block]:
    """Blocks of k facts of one relation with k different objects, which are the choices of all k questions. Each fact
    is asked about at most `questions_per_fact` times.

    Each choice is then the right answer exactly once in its block, so that a scorer blind to the subject, which must
    give all k questions the same answer, is right exactly once in k. Distractors drawn one question at a time have no
    such guarantee: common objects are right more often than chance.

    Within a round each fact stands in at most one block. A round takes one fact of each of the k objects
    with the most facts left, which fills as many blocks as can be filled.
    """
    k = settings.num_choices
    blocks: list[Block] = []
    for round_index in range(settings.questions_per_fact):
        by_relation: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index in keyed_order(range(len(facts)), facts_seed, round_index):
            by_relation[facts[index].relation][facts[index].object].append(index)
        for relation in sorted(by_relation):
            groups = by_relation[relation]
            tie = {name: rank for rank, name in enumerate(keyed_order(groups, facts_seed, round_index, relation))}
            while len(groups) >= k:
                chosen = sorted(groups, key=lambda name: (-len(groups[name]), tie[name]))[:k]
                asked = tuple(groups[name].pop() for name in chosen)
                blocks.append(Block(asked, tuple(chosen), tuple(range(k))))
                groups = {name: left for name, left in groups.items() if left}
    return blocks


KINDS: dict[str, QuestionKind] = {
    "choice": QuestionKind(
        balanced_blocks,
        settings=("num_choices", "question_template", "questions_per_fact"),
        needs="a question needs {num_choices} facts of its relation in this set with different objects",
        limited_by="num_choices",
        mend="Ask for more facts, or for fewer choices.",
    )
}
