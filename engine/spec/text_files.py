"""Texts to infuse instead of facts: documents with an id, read from tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import DataError, KituiError, together
from engine.spec.fact_settings import TextsSettings
from engine.spec.facts import Fact, clean_text
from engine.spec.tables import place, read_rows, values_at

TEXT = "text"
"""The relation of a fact that stands for a whole text: its subject is the text's id."""


def read_texts(paths: Sequence[Path], settings: TextsSettings) -> dict[str, str]:
    """By id, the texts, as they are but for blanks at their ends. DataError names every row with a fault."""
    found: dict[str, str] = {}
    place_of: dict[str, str] = {}
    faults: list[KituiError] = []
    for path in paths:
        for number, row in read_rows(path, key="texts.path"):
            where = place(path, number)
            ids, texts = values_at(row, settings.id), values_at(row, settings.text)
            name = clean_text(ids[0]) if len(ids) == 1 else ""
            text = texts[0].strip() if len(texts) == 1 and isinstance(texts[0], str) else ""
            if not name or not text:
                key = settings.text if name else settings.id
                mend = "texts.id and texts.text say where they stand."
                value = (texts if name else ids) or None
                faults.append(DataError("expected a text here.", where=where, key=key, value=value, mend=mend))
            elif name in found:
                faults.append(DataError(f"the same id stands on {place_of[name]}.", where=where, value=name))
            else:
                found[name], place_of[name] = text, where
    if faults:
        raise together(faults)
    if not found:
        raise DataError("there are no texts in this file.", where=", ".join(map(str, paths)), key="texts.path")
    return found


def as_facts(texts: Sequence[str]) -> list[Fact]:
    """Texts, by id, as facts: to be drawn, written and asked about as they are."""
    return [Fact(name, TEXT, name) for name in texts]
