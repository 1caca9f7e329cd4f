"""Fact sets in tokens: every rendering of every fact, and the questions asked about them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.corpus.tokenizer import Tokenizer
from engine.errors import DataError
from engine.spec.evaluation import EvaluationSettings
from engine.spec.facts import Fact
from engine.spec.questions.base import Block
from engine.spec.runspec import FactSets, RunSpec
from engine.spec.templates import render


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


def infused_renderings(facts: FactSets, num_templates: int, tokenizer: Tokenizer, row_length: int) -> Renderings:
    """Infused facts take turns in the first `num_templates` statements of their relation. A text is written as it is,
    in pieces of at most a row, each of which counts as a fact."""
    return _renderings(facts, facts.infused, tuple(range(num_templates)), tokenizer, row_length)


def prior_renderings(facts: FactSets, spec: RunSpec, tokenizer: Tokenizer) -> Renderings:
    """Prior facts take turns in statements and, if the sweep says so, in the question that is asked, answered."""
    columns: list[int] = list(range(spec.mixture.num_prior_templates))
    if spec.mixture.questions_in_background:
        columns.append(-1 - spec.evaluation.question_template)
    return _renderings(facts, facts.prior, tuple(columns), tokenizer, spec.training.context_length)


def all_renderings(
    facts: FactSets, of: tuple[Fact, ...], tokenizer: Tokenizer, row_length: int
) -> list[dict[int, np.ndarray]]:
    """Of each fact, or piece of a text, every rendering by column."""
    if facts.texts:
        return [{0: piece} for piece in _pieces(facts, of, tokenizer, row_length)]
    texts = [all_texts(facts, fact) for fact in of]
    ids = iter(tokenizer.encode_many([written(text) for by_column in texts for text in by_column.values()]))
    return [{column: np.array(next(ids), dtype=np.int64) for column in by_column} for by_column in texts]


def _pieces(facts: FactSets, of: tuple[Fact, ...], tokenizer: Tokenizer, row_length: int) -> list[np.ndarray]:
    texts = [written(facts.texts[fact.subject]) for fact in of]
    whole = [np.array(ids, dtype=np.int64) for ids in tokenizer.encode_many(texts)]
    return [piece for ids in whole for piece in np.array_split(ids, -(-len(ids) // row_length))]


def _renderings(
    facts: FactSets, of: tuple[Fact, ...], columns: tuple[int, ...], tokenizer: Tokenizer, row_length: int
) -> Renderings:
    if facts.texts:
        return Renderings([[piece] for piece in _pieces(facts, of, tokenizer, row_length)], (0,))
    return Renderings(_tokens(facts, of, columns, tokenizer), columns)


def all_texts(facts: FactSets, fact: Fact) -> dict[int, str]:
    """Every rendering of a fact by column: statements count from 0 up, questions from -1 down; of a text, itself."""
    if facts.texts:
        return {0: facts.texts[fact.subject]}
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
    """The questions of a set, block after block, and in tokens."""
    blocks = facts.blocks(fact_set, evaluation)
    pairs, answers, chars = [], [], []
    for block in blocks:
        for context, right in zip(block.contexts, block.right, strict=True):
            pairs.append([(context, block.prefix + choice) for choice in block.choices])
            chars.append([len(choice) for choice in block.choices])
            answers.append(right)
    return blocks, _questions(pairs, answers, chars, tokenizer)


def _questions(
    pairs: list[list[tuple[str, str]]], answers: list[int], chars: list[list[int]], tokenizer: Tokenizer
) -> list[Question]:
    """Context and continuation are tokenised together and cut where the context alone ends, as lm-evaluation-harness
    does (v0.4, `TemplateLM._encode_pair`); apart where no blank stands between them, for a token would hold some of
    both."""
    contexts = tokenizer.encode_many([choices[0][0] for choices in pairs])
    wholes = tokenizer.encode_many([context + continuation for choices in pairs for context, continuation in choices])
    questions, place = [], 0
    for context, choices, answer, sizes in zip(contexts, pairs, answers, chars, strict=True):
        ids = []
        for whole, (_, continuation) in zip(wholes[place : place + len(choices)], choices, strict=True):
            ids.append(whole[len(context) :] if continuation.startswith(" ") else tokenizer.encode(continuation))
            if not ids[-1]:
                raise DataError("the tokenizer leaves nothing of an answer.", value="".join(choices[len(ids) - 1]))
        questions.append(Question(context, ids, sizes, answer))
        place += len(choices)
    return questions


def check_distinct_pieces(facts: FactSets, tokenizer: Tokenizer, row_length: int) -> None:
    """DataError where a piece of a text is also another one, of another text or its own: their exposures could not be
    told apart."""
    owner_of: dict[bytes, str] = {}
    for fact in facts.drawn if facts.texts else ():
        for piece in _pieces(facts, (fact,), tokenizer, row_length):
            other = owner_of.get(piece.tobytes())
            if other is not None:
                whose = "stands in it twice" if other == fact.subject else f"is also one of {other}"
                raise DataError(
                    f"a piece of it, {len(piece)} tokens, {whose}: exposures could not be told apart.",
                    key="texts.path",
                    value=fact.subject,
                    mend="Take out what texts repeat, or use another context_length.",
                )
            owner_of[piece.tobytes()] = fact.subject


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
