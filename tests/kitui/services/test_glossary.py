"""The words of the program."""

from __future__ import annotations

from kitui.services.glossary import words_document
from tests.conftest import CommandLine


def test_the_words_that_newcomers_ask_for_are_there(kitui: CommandLine) -> None:
    meanings = {row.word: row.meaning for row in words_document().words}
    assert meanings["exposure"] == "one writing of one fact"
    for word in ("fact", "infusion frequency, F", "cell", "arm", "condition", "axis", "host, slot"):
        assert meanings[word]
    assert "word" not in meanings  # the heading of the table
    printed = kitui.json("words")
    assert {row["word"]: row["meaning"] for row in printed["words"]} == meanings
