"""What a kind of question is: which facts are asked, in which words, and which answers are offered."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact, right_objects
from engine.spec.own_questions import OwnQuestion

NO_CHANCE = 1_000_000_000
"""The number of choices of a question that nobody answers right by chance."""


_NO_QUESTIONS: Mapping[str, Sequence[OwnQuestion]] = {}
_NO_DESCRIPTIONS: Mapping[str, str] = {}


class Asking(NamedTuple):
    """What questions are made of beside the facts asked about."""

    drawn: Sequence[Fact]
    """All facts of the partition."""
    objects: Mapping[str, Mapping[str, tuple[str, ...]]]
    """By relation and subject, all objects, where there are several: none of them is a wrong answer."""
    aliases: Mapping[str, tuple[str, ...]]
    """By object, its other names."""
    templates: Mapping[str, tuple[str, ...]]
    """By relation, those to ask with. A relation that has none is not asked about."""
    facts_seed: int
    own: Mapping[str, Sequence[OwnQuestion]] = _NO_QUESTIONS
    """By subject or id, the questions of one's own about it."""
    descriptions: Mapping[str, str] = _NO_DESCRIPTIONS
    """By relation, what stands for the object of a fact whose subject is known."""
    fact_set: str = ""
    """The set asked about."""
    infused: Sequence[Fact] = ()
    prior: Sequence[Fact] = ()

    def right_for(self, fact: Fact) -> tuple[str, ...]:
        """All objects that are right for the fact's subject."""
        return right_objects(self.objects, fact)


class Block(NamedTuple):
    """Questions that share their choices. `facts` are indices into the fact set, one a question; `contexts` what stands
    before the answer; `choices` are names, before each of which stands `prefix`; `right[j]` is the place in `choices`
    of question j's right answer."""

    facts: tuple[int, ...]
    contexts: tuple[str, ...]
    choices: tuple[str, ...]
    right: tuple[int, ...]
    prefix: str = " "
    template: int = 0
    """Which of the templates it is asked in."""
    relation: str = ""


class QuestionKind(NamedTuple):
    """One kind of question."""

    blocks: Callable[[Sequence[Fact], Asking, EvaluationSettings], list[Block]]
    """The questions, of nothing but the facts to ask about, what stands beside them and the settings."""
    can_ask: Callable[[str], bool]
    """Whether a template serves."""
    templates: Callable[[Sequence[str], EvaluationSettings], tuple[str, ...]]
    """Of a relation's question templates, those that are asked in."""
    num_choices: Callable[[Sequence[Block]], float]
    """One over which is the share that a scorer blind to the question has right at best."""
    settings: tuple[str, ...]
    """The names of the evaluation's settings that its questions depend on."""
    needs: str
    """What a fact needs to be asked about, with settings in braces."""
    limited_by: str
    """The setting that the user may change where too few facts can be asked about."""
    mend: str
    is_free: bool = False
    """Whether the model is to say the answer by itself: `choices` are then all that is right."""
    may_be_unasked: tuple[str, ...] = ()
    """Sets in which there may be nothing to ask about."""
    facts_per_block: Callable[[EvaluationSettings], int] = lambda settings: 1
    """Of how many facts of a relation and set a multiple is best drawn, so that few are left unasked."""

    def requirement(self, settings: EvaluationSettings) -> str:
        return self.needs.format(**settings.model_dump())


def the_one_asked(templates: Sequence[str], settings: EvaluationSettings) -> tuple[str, ...]:
    """The question template that the settings name."""
    return (templates[settings.question_template],)


def of_choices(blocks: Sequence[Block]) -> float:
    """The number of choices of each question; where they differ, their harmonic mean."""
    numbers = [len(block.choices) for block in blocks for _ in block.facts]
    return numbers[0] if len({*numbers}) == 1 else statistics.harmonic_mean(numbers)
