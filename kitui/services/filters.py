"""The filter language of run lists: `params>1M and frequency>=64 and state=running`.

Comparisons of a column with a number (3B, 100k, 1e6), a word or a quoted text, joined by and, or, not and parentheses;
`~` asks for a part of a text. An empty value fits no comparison but `!=`. A word alone asks for a part of a name.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from engine.errors import SpecError, nearest
from engine.spec.numbers import parse_number

Row = Any  # anything that the given getters can read
Getter = Callable[[Row], Any]
Predicate = Callable[[Row], bool]
_NO_ALIASES: Mapping[str, str] = MappingProxyType({})

_TOKEN = re.compile(
    r"""\s*(?:(?P<op><=|>=|!=|==|=|<|>|~)|(?P<paren>[()])|(?P<text>"[^"]*"|'[^']*')|(?P<word>[^\s()<>=!~"']+))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
}


def completion(expression: str, columns: Sequence[str], values: Mapping[str, Sequence[str]]) -> str | None:
    """The expression with its last word completed: a column, a comparison, a value of that column, `and`; or None."""
    match = re.search(r"[^\s()<>=!~]*$", expression)
    part = match[0] if match else ""
    head = expression[: len(expression) - len(part)]
    try:
        before = _tokenise(head)
    except SpecError:
        return None
    last = before[-1] if before else None
    if last is None or last.text in ("(", "and", "or", "not"):
        options: Sequence[str] = (*columns, "not")
    elif last.kind == "op":
        options = values.get(before[-2].text, ()) if len(before) > 1 else ()
    elif len(before) > 1 and before[-2].kind == "op":
        options = ("and", "or")
    else:
        return None
    found = next((o for o in options if part and o != part and o.startswith(part.lower())), None)
    return None if found is None else head + found


_LONGEST, _DEEPEST = 10_000, 100
"""Characters of an expression; parentheses and nots within each other."""


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse_filter(
    expression: str,
    values: Mapping[str, Getter],
    aliases: Mapping[str, str] = _NO_ALIASES,
    names: Sequence[str] = (),
) -> Predicate:
    """The expression as a function of a row. `values`: how a column's value is read from a row; `names`: the columns in
    which a word alone is looked for. SpecError points at what is wrong."""
    tokens = _tokenise(expression)
    parser = _Parser(expression, tokens, values, aliases, names)
    predicate = parser.any_of()
    if parser.place < len(tokens):
        parser.complain("expected and, or, or the end here")
    return predicate


def _tokenise(expression: str) -> list[_Token]:
    if len(expression) > _LONGEST:
        raise SpecError(f"an expression of more than {_LONGEST:,} characters.", key="--where", value=expression)
    tokens, place = [], 0
    while expression[place:].strip():
        match = _TOKEN.match(expression, place)
        if not match:
            raise SpecError(f"not understood at character {place + 1}.", key="--where", value=expression)
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent: any_of → all_of → one_of → comparison."""

    def __init__(
        self,
        expression: str,
        tokens: list[_Token],
        values: Mapping[str, Getter],
        aliases: Mapping[str, str],
        names: Sequence[str],
    ) -> None:
        self.expression, self.tokens, self.values, self.aliases = expression, tokens, values, aliases
        self.names = names
        self.place, self.depth = 0, 0

    def any_of(self) -> Predicate:
        parts = [self.all_of()]
        while self.take_word("or"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def all_of(self) -> Predicate:
        parts = [self.one_of()]
        while self.take_word("and"):
            parts.append(self.one_of())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def one_of(self) -> Predicate:
        self.depth += 1
        if self.depth > _DEEPEST:
            self.complain(f"more than {_DEEPEST} parentheses or nots within each other", back=1)
        try:
            return self._one_of()
        finally:
            self.depth -= 1

    def _one_of(self) -> Predicate:
        if self.take_word("not"):
            inner = self.one_of()
            return lambda row: not inner(row)
        token = self.next("a column")
        if token.text == "(":
            inside = self.any_of()
            if self.next("a closing parenthesis").text != ")":
                self.complain("expected a closing parenthesis here", back=1)
            return inside
        if self.names and token.kind in ("word", "text") and not self.has_comparison():
            return _naming([self.values[name] for name in self.names], token.text.strip("\"'"))
        return self.comparison(token)

    def has_comparison(self) -> bool:
        """Whether one comes next, or a mistake that is told best as one."""
        return self.place < len(self.tokens) and self.tokens[self.place].text.lower() not in ("and", "or", ")")

    def comparison(self, column: _Token) -> Predicate:
        name = self.aliases.get(column.text, column.text)
        if column.kind != "word" or name not in self.values:
            mend = nearest(name, tuple(self.values))
            raise SpecError(f"no column {column.text!r}.", key="--where", value=self.expression, mend=mend)
        symbol = self.next("a comparison such as = or >=")
        if symbol.kind != "op":
            self.complain("expected one of = != < <= > >= ~ here", back=1)
        value = self.next("a value")
        if value.kind not in ("word", "text"):
            self.complain("expected a value here", back=1)
        return _comparison(
            self.values[name], symbol.text, value.text.strip("\"'") if value.kind == "text" else value.text
        )

    def take_word(self, word: str) -> bool:
        token = self.tokens[self.place] if self.place < len(self.tokens) else None
        if token is not None and token.kind == "word" and token.text.lower() == word:
            self.place += 1
            return True
        return False

    def next(self, wanted: str) -> _Token:
        if self.place >= len(self.tokens):
            self.complain(f"expected {wanted} at the end")
        self.place += 1
        return self.tokens[self.place - 1]

    def complain(self, what: str, back: int = 0) -> None:
        index = self.place - back
        at = self.tokens[index].position if index < len(self.tokens) else len(self.expression)
        raise SpecError(
            f"{what} (character {at + 1}).",
            key="--where",
            value=self.expression,
            mend="Such as: params>1M and frequency>=64 and state=running.",
        )


def _naming(getters: Sequence[Getter], part: str) -> Predicate:
    """Whether one of the names holds the text."""
    sought = part.lower()
    return lambda row: any(sought in str(get(row) or "").lower() for get in getters)


def _comparison(get: Getter, symbol: str, text: str) -> Predicate:
    number: float | None
    try:
        number = float(parse_number(text))
    except ValueError:
        number = None

    def holds(row: Row) -> bool:
        value = get(row)
        if symbol == "~":
            return text.lower() in str(value or "").lower()
        if value is None:
            return symbol == "!="
        if isinstance(value, (int, float)) and number is not None:
            left: Any = float(value)
            right: Any = number
        else:
            left, right = str(value).lower(), text.lower()
        return left != right if symbol == "!=" else _COMPARE[symbol](left, right)

    return holds
