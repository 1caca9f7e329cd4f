"""Questions in balanced blocks: k facts of one relation with k different objects share one set of choices.

Each choice is then the right answer exactly once in its block, so that a scorer blind to the subject, which must give
all k questions the same answer, is right exactly once in k. Distractors drawn one question at a time have no such
guarantee: common objects are right more often than chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from engine.spec.facts import Fact, keyed_order


class Block(NamedTuple):
    """`facts` are indices into the fact set; the choices are these facts' objects, in the same order."""

    facts: tuple[int, ...]


def balanced_blocks(
    facts: Sequence[Fact], *, num_choices: int, questions_per_fact: int, facts_seed: int
) -> tuple[list[Block], int]:
    """Blocks that ask each fact at most `questions_per_fact` times, and the number of facts in no block at all.

    Within a round each fact stands in at most one block. A round takes one fact of each of the k objects
    with the most facts left, which fills as many blocks as can be filled.
    """
    blocks: list[Block] = []
    asked: set[int] = set()
    for round_index in range(questions_per_fact):
        by_relation: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index in keyed_order(range(len(facts)), facts_seed, round_index):
            by_relation[facts[index].relation][facts[index].object].append(index)
        for relation in sorted(by_relation):
            groups = by_relation[relation]
            tie = {name: rank for rank, name in enumerate(keyed_order(groups, facts_seed, round_index, relation))}
            while len(groups) >= num_choices:
                chosen = sorted(groups, key=lambda name: (-len(groups[name]), tie[name]))[:num_choices]
                blocks.append(Block(tuple(groups[name].pop() for name in chosen)))
                asked.update(blocks[-1].facts)
                groups = {name: left for name, left in groups.items() if left}
    return blocks, len(facts) - len(asked)
