"""What the words mean: docs/glossary.md, which goes with the package."""

from __future__ import annotations

import re

from engine.records.record import SCHEMA_VERSION, Record
from kitui.services.samples import packaged

_ROW = re.compile(r"^\| (?P<word>[^|]+?) \| (?P<meaning>[^|]+?) \|$", re.MULTILINE)


class Word(Record, frozen=True, kw_only=True):
    """A word of the glossary and what it means."""

    word: str
    meaning: str


class WordsDocument(Record, frozen=True, kw_only=True):
    """`kitui words --json`: the rows of the table, in its order."""

    schema_version: int = SCHEMA_VERSION
    words: tuple[Word, ...]


def words_document() -> WordsDocument:
    """What `kitui words --json` prints."""
    _heading, *rows = _ROW.finditer(packaged("docs/glossary.md").read_text(encoding="utf-8"))
    return WordsDocument(words=tuple(Word(word=row["word"], meaning=row["meaning"].replace("`", "")) for row in rows))
