"""Facts: (subject, relation, object) triples, and what counts as a word of their names."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Fact(NamedTuple):
    """A triple, each part as text; `relation` is a key of the templates."""

    subject: str
    relation: str
    object: str


JOINERS = "\u200c\u200d"
"""Letters of words (Persian, Hindi), although Unicode counts them among the invisible marks."""
# Thai to Lao, Burmese, Khmer, kana, Han: no blanks between words.
_WITHOUT_BLANKS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def clean_text(value: Any) -> str:
    """A name as it stands in a table: a number written out, blanks made single, marks of direction and other invisible
    ones left out. Empty for what is no text, or holds what cannot be printed."""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:.15g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        return ""
    text = "".join(c for c in value if c in JOINERS or c.isascii() or unicodedata.category(c) != "Cf")
    text = " ".join(text.split())
    return text if all(c.isprintable() or c in JOINERS for c in text) else ""


def is_of_word(character: str) -> bool:
    """Whether a character belongs to a word: letters, digits, the marks that combine with them, and joiners."""
    return character.isalnum() or character in f"_{JOINERS}" or unicodedata.category(character).startswith("M")


def holds_words(text: str, part: str) -> bool:
    """Whether `part` stands in `text` as whole words, in any letter case; in scripts that put no blanks between words,
    anywhere."""
    text, part = text.casefold(), part.casefold()
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        if not (start and _is_one_word(text[start - 1], part[0])) and not (
            end < len(text) and _is_one_word(part[-1], text[end])
        ):
            return True
        start = text.find(part, start + 1)
    return False


def _is_one_word(left: str, right: str) -> bool:
    return is_of_word(left) and is_of_word(right) and not (is_without_blanks(left) or is_without_blanks(right))


def is_without_blanks(text: str) -> bool:
    """Whether there is anything in it of a script that puts no blanks between words."""
    return _WITHOUT_BLANKS.search(text) is not None


def right_objects(objects: Mapping[str, Mapping[str, tuple[str, ...]]], fact: Fact) -> tuple[str, ...]:
    """All objects that are right for the fact's subject; `objects` has them by relation and subject, where there are
    several."""
    return objects.get(fact.relation, {}).get(fact.subject, (fact.object,))


def keyed_order(items: Iterable[Any], *key: object) -> list[Any]:
    """`items` in an order fixed by `key` alone: sorted by the SHA-256 of key and item, hence the same everywhere."""

    def digest(item: object) -> bytes:
        return hashlib.sha256("\x1f".join(map(str, (*key, item))).encode()).digest()

    return sorted(items, key=digest)
