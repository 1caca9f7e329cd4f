"""How facts are asked about: the settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from engine.spec.neighbours import NeighbourBy
from engine.spec.numbers import parse_count
from engine.spec.section import Count, PositiveCount, Section, Text, up_to


def _with_a_place(form: str) -> str:
    if form.count("{question}") != 1:
        raise ValueError("expected {question} in it, once")
    return form


class QuestionColumns(Section):
    """Where the parts of one's own questions stand in their table."""

    id: Text = "id"
    """Of the text that is asked about, or the subject of the fact."""
    question: Text = "question"
    choices: Text | tuple[Text, ...] = "choices"
    """A list, or several columns; without any, the answer is to be said freely."""
    answer: Text = "answer"
    """One of the choices, its number, or its letter."""
    first_answer: Count = 0
    """The number of the first choice."""


class EvaluationSettings(Section):
    """How runs are scored, and how often."""

    kind: Literal["choice", "own_choices", "rank", "cloze", "reverse", "paraphrase", "two_hop", "neighbour"] = "choice"
    """Which kind of question is asked."""
    num_choices: Annotated[int, BeforeValidator(parse_count), Field(ge=2, le=26)] = 4
    """Of the kinds that offer the answers of a block."""
    question_template: Count = 0
    """Which of a relation's question templates is asked, counted from 0; `paraphrase` asks all of them."""
    questions_per_fact: Annotated[PositiveCount, up_to(1_000)] = 1
    neighbour_by: NeighbourBy = "subject"
    """What a fact shares with an infused one that it is the `neighbour` of; an object counts within its relation."""
    questions: Text | None = None
    """A table of one's own questions, for `own_choices` and `cloze`."""
    question_columns: QuestionColumns = QuestionColumns()
    question_form: Annotated[str, AfterValidator(_with_a_place)] = "{question}"
    """How one's own questions are put; the answer comes after it and a blank."""
    every_tokens: PositiveCount | None = None
    """Score during training each time so many tokens have passed; always at the end."""
