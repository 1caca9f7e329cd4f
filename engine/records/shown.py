"""`kitui show --json`: what a sweep will write and ask, piece by piece."""

from __future__ import annotations

from engine.records.record import SCHEMA_VERSION, Record


class ShownText(Record, frozen=True, kw_only=True):
    """A text as the tokenizer cuts it."""

    text: str
    pieces: tuple[str, ...]
    """What each token stands for; empty for a token that only goes on with a letter. None of it where there is no
    tokenizer yet."""
    unknown: tuple[int, ...] = ()
    """Which of the pieces the tokenizer does not know."""


class ShownQuestion(Record, frozen=True, kw_only=True):
    """A question: what stands before the answer, and the answers offered."""

    kind: str
    """Of question; `verbatim` where it is asked in the statement that is trained on."""
    context: ShownText
    choices: tuple[ShownText, ...]
    right: int
    """Which of the choices."""


class ShownFact(Record, frozen=True, kw_only=True):
    """A fact with all that is made of it."""

    subject: str
    relation: str
    object: str
    also_right: tuple[str, ...]
    aliases: tuple[str, ...]
    written: tuple[ShownText, ...]
    asked: tuple[ShownQuestion, ...]


class ShownSet(Record, frozen=True, kw_only=True):
    """A set of facts, and some of them."""

    name: str
    num_facts: int
    num_asked: int
    num_relations: int
    num_objects: int
    exposures: tuple[float, ...]
    """How often each fact is written, for each frequency of the grid; planned."""
    facts: tuple[ShownFact, ...]


class ShownDocument(Record, frozen=True, kw_only=True):
    """What a sweep file comes to, before anything is trained."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    tokenizer: str
    """Which, in words."""
    vocab_size: int | None
    unknown_in_facts: float | None
    unknown_in_background: float | None
    frequencies: tuple[int, ...]
    sets: tuple[ShownSet, ...]
    notes: tuple[str, ...]
