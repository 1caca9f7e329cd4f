"""Multiple choice among objects of the fact's relation, in balanced blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact, keyed_order
from engine.spec.questions.base import Asking, Block, QuestionKind, of_choices, the_one_asked
from engine.spec.templates import answer_prefix, ask, can_ask


def choice_blocks(
    facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings, *, template: int = 0
) -> list[Block]:
    """The k objects of a block's facts are the choices of all its k questions."""
    blocks = []
    for asked in balanced(facts, asking, settings):
        text = asking.templates[facts[asked[0]].relation][template]
        pairs = [(facts[index].subject, facts[index].object) for index in asked]
        blocks.append(shared_choices(asked, text, pairs)._replace(template=template))
    return blocks


def shared_choices(asked: tuple[int, ...], text: str, pairs: Sequence[tuple[str, str]]) -> Block:
    """One question a fact, of what is given and what is asked for; all that is asked for are the choices of each."""
    contexts, choices = tuple(ask(text, given) for given, _ in pairs), tuple(answer for _, answer in pairs)
    return Block(asked, contexts, choices, right=tuple(range(len(asked))), prefix=answer_prefix(text))


def balanced(facts: Sequence[Fact], asking: Asking, settings: EvaluationSettings) -> list[tuple[int, ...]]:
    """Blocks of k facts (indices) of one relation with k different objects. Each fact
    is asked about at most `questions_per_fact` times, and nowhere beside another object that is right for its subject.

    Each choice is then the right answer exactly once in its block, so that a scorer blind to the subject, which must
    give all k questions the same answer, is right exactly once in k. Distractors drawn one question at a time have no
    such guarantee: common objects are right more often than chance.

    Within a round each fact stands in at most one block. A round takes one fact of each of the k objects
    with the most facts left, which fills as many blocks as can be filled.
    """
    k = settings.num_choices
    blocks: list[tuple[int, ...]] = []
    for round_index in range(settings.questions_per_fact):
        by_relation: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index in keyed_order(range(len(facts)), asking.facts_seed, round_index):
            if asking.templates.get(facts[index].relation):
                by_relation[facts[index].relation][facts[index].object].append(index)
        for relation in sorted(by_relation):
            groups = by_relation[relation]
            tie = {
                name: rank for rank, name in enumerate(keyed_order(groups, asking.facts_seed, round_index, relation))
            }
            while len(groups) >= k:
                order = sorted(groups, key=lambda name: (-len(groups[name]), tie[name]))
                asked = _beside_each_other(groups, order, k, facts, asking)
                if asked is None:
                    break
                for index in asked:
                    groups[facts[index].object].remove(index)
                blocks.append(tuple(asked))
                groups = {name: left for name, left in groups.items() if left}
    return blocks


_MOST_TRIES = 2_000


def _beside_each_other(
    groups: Mapping[str, list[int]], order: Sequence[str], k: int, facts: Sequence[Fact], asking: Asking
) -> list[int] | None:
    """One fact each of k objects, the first in order that can be: no object is right for another one's subject. None
    where there are none, or none were found after many tries."""
    tries = 0

    def extended(chosen: list[int], start: int) -> list[int] | None:
        nonlocal tries
        if len(chosen) == k:
            return chosen
        for place in range(start, len(order) - (k - len(chosen)) + 1):
            seen: set[tuple[str, ...]] = set()
            for index in reversed(groups[order[place]]):
                rights = asking.right_for(facts[index])
                tries += 1
                if rights in seen or tries > _MOST_TRIES:
                    continue
                seen.add(rights)
                if all(_can_stand(facts[index], facts[other], asking) for other in chosen):
                    found = extended([*chosen, index], place + 1)
                    if found is not None:
                        return found
        return None

    return extended([], 0)


def _can_stand(one: Fact, other: Fact, asking: Asking) -> bool:
    return other.object not in asking.right_for(one) and one.object not in asking.right_for(other)


CHOICE = QuestionKind(
    choice_blocks,
    can_ask,
    the_one_asked,
    of_choices,
    settings=("num_choices", "question_template", "questions_per_fact"),
    needs="a question needs {num_choices} facts of its relation in this set with different objects",
    limited_by="num_choices",
    mend="Ask for more facts, or for fewer choices.",
    facts_per_block=lambda settings: settings.num_choices,
)
