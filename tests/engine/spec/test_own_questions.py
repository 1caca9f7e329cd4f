import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import DataError
from engine.spec.evaluation import QuestionColumns
from engine.spec.own_questions import OwnQuestion, read_own_questions


def read(path: Path, *rows: dict[str, Any], **columns: Any) -> list[OwnQuestion]:
    path = path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return read_own_questions(path, QuestionColumns(**columns))


@pytest.mark.parametrize(
    ("choices", "answer", "first", "right"),
    [
        (["p", "q", "r"], "q", 0, 1),
        (["p", "q", "r"], 2, 0, 2),
        (["p", "q", "r"], "C", 0, 2),
        (["p", "q", "r"], "2", 1, 1),
        (["1", "2", "3", "4"], 2, 0, 2),  # a number is a place
        (["3", "2", "1", "4"], 1, 1, 0),
        (["1", "2", "3", "4"], "0", 0, 0),
        (["p", "q", None], 1, 0, 1),
    ],
)
def test_answers_are_texts_places_or_letters(
    tmp_path: Path, choices: list[Any], answer: Any, first: int, right: int
) -> None:
    row = {"id": "a", "question": "Which?", "choices": choices, "answer": answer}
    (found,) = read(tmp_path, row, first_answer=first)
    assert found.right == right


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"answer": "s"}, "none of the options"),
        ({"answer": 3}, "none of the options"),
        ({"answer": None}, "none of the options"),
        ({"choices": ["1", "2", "3"], "answer": "1"}, "one of the options, and another one's place"),
        ({"choices": ["p", None, "r"], "answer": "r"}, "empty, or alike"),
        ({"choices": ["p", "p"]}, "empty, or alike"),
        ({"question": ""}, "expected text"),
        ({"id": ["a", "b"]}, "expected text"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    good = {"id": "a", "question": "Which?", "choices": ["p", "q", "r"], "answer": "p"}
    with pytest.raises(DataError, match=words) as caught:
        read(tmp_path, good, good | changes, good | changes)
    assert "line 2" in str(caught.value)
    assert "line 3" in str(caught.value)


def test_without_choices_the_answer_is_free(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {"id": "a", "question": "Which?", "answer": "p"})
    assert found.choices == ("p",)
