"""Fact sets in tokens: every rendering of every fact, and the questions asked about them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.corpus.tokenizer import Tokenizer
from engine.errors import DataError
from engine.spec.facts import Fact
from engine.spec.questions import Block, EvaluationSettings
from engine.spec.runspec import FactSets, RunSpec
from engine.spec.templates import ask, can_ask, render


class Renderings(NamedTuple):
    """How a run writes one fact set. `tokens[fact][template]` are token ids; `columns[template]` is that template's
    place among all of a relation's templates, statements first and questions after them."""

    tokens: list[list[np.ndarray]]
    columns: tuple[int, ...]

    @property
    def lengths_FT(self) -> np.ndarray:
        return np.array([[len(ids) for ids in per_fact] for per_fact in self.tokens], dtype=np.int64).reshape(
            len(self.tokens), len(self.columns)
        )


class Question(NamedTuple):
    """One question: context ids, and for each choice the ids that follow and the answer's length in characters."""

    context: list[int]
    choices: list[list[int]]
    choice_chars: list[int]
    answer: int


def written(text: str) -> str:
    """A fact's text as it stands in the stream: a line of its own."""
    return text + "\n"


def infused_renderings(facts: FactSets, num_templates: int, tokenizer: Tokenizer) -> Renderings:
    """Infused facts take turns in the first `num_templates` statements of their relation."""
    columns = tuple(range(num_templates))
    return Renderings(_tokens(facts, facts.infused, columns, tokenizer), columns)


def prior_renderings(facts: FactSets, spec: RunSpec, tokenizer: Tokenizer) -> Renderings:
    """Prior facts take turns in statements and, if the sweep says so, in the question that is asked, answered."""
    columns: list[int] = list(range(spec.mixture.num_prior_templates))
    if spec.mixture.questions_in_background:
        columns.append(-1 - spec.evaluation.question_template)
    return Renderings(_tokens(facts, facts.prior, tuple(columns), tokenizer), tuple(columns))


def all_texts(facts: FactSets, fact: Fact) -> dict[int, str]:
    """Every rendering of a fact by column: statements count from 0 up, questions from -1 down."""
    statements = {i: render(t, fact) for i, t in enumerate(facts.statements[fact.relation])}
    questions = {-1 - i: render(t, fact) for i, t in enumerate(facts.questions[fact.relation])}
    return statements | questions


def _tokens(
    facts: FactSets, of: tuple[Fact, ...], columns: tuple[int, ...], tokenizer: Tokenizer
) -> list[list[np.ndarray]]:
    texts = [written(all_texts(facts, fact)[column]) for fact in of for column in columns]
    ids = [np.array(i, dtype=np.int64) for i in tokenizer.encode_many(texts)]
    width = len(columns)
    return [ids[start : start + width] for start in range(0, len(ids), width)] if width else []


def block_questions(
    facts: FactSets, fact_set: str, evaluation: EvaluationSettings, tokenizer: Tokenizer
) -> tuple[list[Block], list[Question]]:
    """The questions of a set, block after block.

    `verbatim` asks the infused facts in the first statement they are trained on, cut before the object, as far as
    that statement can be cut so.
    """
    blocks = facts.blocks("infused" if fact_set == "verbatim" else fact_set, evaluation)
    members = facts.infused if fact_set == "verbatim" else getattr(facts, fact_set)
    templates = {}
    for relation in facts.statements:
        question = facts.questions[relation][evaluation.question_template]
        templates[relation] = facts.statements[relation][0] if fact_set == "verbatim" else question
    blocks = [block for block in blocks if can_ask(templates[members[block.facts[0]].relation])]
    pairs, answers, chars = [], [], []
    for block in blocks:
        for index, right in zip(block.facts, block.right, strict=True):
            context = ask(templates[members[index].relation], members[index].subject)
            pairs.append([(context, " " + choice) for choice in block.choices])
            chars.append([len(choice) for choice in block.choices])
            answers.append(right)
    return blocks, _questions(pairs, answers, chars, tokenizer)


def _questions(
    pairs: list[list[tuple[str, str]]], answers: list[int], chars: list[list[int]], tokenizer: Tokenizer
) -> list[Question]:
    """Context and continuation are tokenised together and cut where the context alone ends, as lm-evaluation-harness
    does (v0.4, `TemplateLM._encode_pair`)."""
    contexts = tokenizer.encode_many([choices[0][0] for choices in pairs])
    wholes = tokenizer.encode_many([context + continuation for choices in pairs for context, continuation in choices])
    questions, place = [], 0
    for context, choices, answer, sizes in zip(contexts, pairs, answers, chars, strict=True):
        ids = []
        for whole in wholes[place : place + len(choices)]:
            ids.append(whole[len(context) :])
            if not ids[-1]:
                raise DataError("the tokenizer leaves nothing of an answer.", value="".join(choices[len(ids) - 1]))
        prefix = wholes[place][: len(context)]
        questions.append(Question(prefix, ids, sizes, answer))
        place += len(choices)
    return questions


def check_distinct(facts: FactSets, tokenizer: Tokenizer) -> None:
    """DataError where two facts become the same tokens: their exposures could not be told apart."""
    fact_of_ids: dict[tuple[int, ...], Fact] = {}
    for fact in (*facts.infused, *facts.prior, *facts.unseen):
        for ids in tokenizer.encode_many(list(all_texts(facts, fact).values())):
            other = fact_of_ids.setdefault(tuple(ids), fact)
            if other != fact:
                raise DataError(
                    f"the tokenizer cannot tell it from {' · '.join(other)}.",
                    key="tokenizer",
                    value=" · ".join(fact),
                    mend="Leave one of them out, or use another tokenizer.",
                )
