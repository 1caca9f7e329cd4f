"""Questions of one's own: read from a file, each linked to a fact's subject or to a text's id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import DataError, KituiError, together
from engine.spec.evaluation import QuestionColumns
from engine.spec.facts import clean_text
from engine.spec.tables import place, read_rows, values_at

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class OwnQuestion(NamedTuple):
    """A question with its options and the place of the right one; with a single option, it is to be said freely."""

    id: str
    """Of a text, or the subject of a fact."""
    question: str
    choices: tuple[str, ...]
    right: int


def read_own_questions(path: Path, columns: QuestionColumns) -> list[OwnQuestion]:
    """All questions of a table. The answer is one of the options, its number from 0, or its letter; options are a
    list, or several columns. DataError names every row with a fault."""
    found: list[OwnQuestion] = []
    faults: list[KituiError] = []
    for number, row in read_rows(path, key="evaluation.questions"):
        try:
            found.append(_question(place(path, number), row, columns))
        except DataError as error:
            faults.append(error)
    if faults:
        raise together(faults)
    if not found:
        raise DataError("there are no questions in this file.", where=str(path), key="evaluation.questions")
    return found


def _question(where: str, row: Mapping[str, Any], columns: QuestionColumns) -> OwnQuestion:
    link, question = _text(where, row, columns.id), _text(where, row, columns.question)
    answer = next(iter(values_at(row, columns.answer)), None)
    places = [columns.choices] if isinstance(columns.choices, str) else columns.choices
    given = [value for name in places for value in values_at(row, name)]
    options = list(given[0] if len(given) == 1 and isinstance(given[0], list) else given)
    while options and options[-1] is None:  # fewer of them than columns
        options.pop()
    choices = tuple(clean_text(option) for option in options)
    if not choices:
        text = clean_text(answer)
        if not text:
            raise DataError("there is no answer here.", where=where, key=columns.answer, value=answer)
        return OwnQuestion(link, question, (text,), 0)
    if not all(choices) or len({*choices}) < len(choices):
        raise DataError("options that are empty, or alike.", where=where, key=str(columns.choices), value=choices)
    return OwnQuestion(link, question, choices, _place(where, answer, choices, columns))


def _text(where: str, row: Mapping[str, Any], column: str) -> str:
    found = values_at(row, column)
    text = clean_text(found[0]) if len(found) == 1 else ""
    if not text:
        mend = "evaluation.question_columns says where id, question, choices and answer stand."
        raise DataError("expected text here.", where=where, key=column, value=found or None, mend=mend)
    return text


def _place(where: str, answer: Any, choices: Sequence[str], columns: QuestionColumns) -> int:
    text = clean_text(answer)
    readings = {choices.index(text)} if text in choices else set()
    number = -1
    if text.isdecimal() and len(text) < 4:
        number = int(text) - columns.first_answer
    elif len(text) == 1 and text.casefold() in _LETTERS:
        number = _LETTERS.index(text.casefold())
    if 0 <= number < len(choices):
        # A number that is one in the file is a place; so is a letter where no option is that letter alone.
        readings = {number} if isinstance(answer, int) else readings | {number}
    if len(readings) != 1:
        what = (
            "this is none of the options." if not readings else "this is one of the options, and another one's place."
        )
        mend = "" if not readings else "Give the answer as a letter or a number that is none of the options."
        raise DataError(what, where=where, key=columns.answer, value=answer, mend=mend)
    return readings.pop()
