"""Templates: the ways to write a fact (statements) and to ask for it (questions), relation by relation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import DataError, nearest, together
from engine.spec.facts import Fact
from engine.spec.files import read_toml

SUBJECT, OBJECT = "{subject}", "{object}"
_KINDS = ("statements", "questions")


class RelationTemplates(NamedTuple):
    """One relation's templates; each holds `{subject}` and `{object}` once. In a question the object comes last,
    for the answer is scored as what follows."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]


def read_templates(path: Path) -> dict[str, RelationTemplates]:
    """All relations of a templates file. DataError names every relation with a fault, and the template."""
    found, faults = {}, []
    for relation, table in read_toml(path, "facts.templates").items():
        try:
            found[relation] = _relation(path, relation, table)
        except DataError as error:
            faults.append(error)
    if faults:
        raise together(faults)
    return found


def _relation(path: Path, relation: str, table: Any) -> RelationTemplates:
    if not isinstance(table, dict):
        raise DataError("expected a table.", where=str(path), key=relation, value=table, mend=f"Write [{relation}].")
    for name in table:
        if name not in (*_KINDS, "label"):
            raise DataError("unknown key.", where=str(path), key=f"{relation}.{name}", mend=nearest(name, _KINDS))
    kinds = []
    for kind in _KINDS:
        templates = table.get(kind, [])
        if not isinstance(templates, list) or not templates:
            raise DataError(
                f"this relation has no {kind}.",
                where=str(path),
                key=f"{relation}.{kind}",
                mend='Give a list such as ["{subject} lies in {object}."].',
            )
        for index, template in enumerate(templates):
            _check(path, f"{relation}.{kind}[{index}]", template, object_last=kind == "questions")
        if len(set(templates)) < len(templates):
            raise DataError("a template stands here twice.", where=str(path), key=f"{relation}.{kind}")
        kinds.append(tuple(templates))
    return RelationTemplates(*kinds)


def _check(path: Path, key: str, template: Any, *, object_last: bool) -> None:
    if not isinstance(template, str) or template.count(SUBJECT) != 1 or template.count(OBJECT) != 1:
        raise DataError("a template holds {subject} and {object} once each.", where=str(path), key=key, value=template)
    if object_last and not can_ask(template):
        raise DataError(
            "in a question {object} comes after {subject} and a blank: the answer is scored as what follows.",
            where=str(path),
            key=key,
            value=template,
        )


def can_ask(template: str) -> bool:
    """Whether the template, cut before its object, is a question: `ask` gives its context, ' ' + object the answer."""
    return template.index(SUBJECT) < template.index(OBJECT) and f" {OBJECT}" in template


def render(template: str, fact: Fact) -> str:
    """The fact written out. Plain replacement in one pass over the template, so that braces in a name mean nothing."""
    before, after = template.split(SUBJECT)
    return before.replace(OBJECT, fact.object) + fact.subject + after.replace(OBJECT, fact.object)


def ask(template: str, subject: str) -> str:
    """What stands before the answer, without the blank before it: the context of a question."""
    return template.split(OBJECT)[0].replace(SUBJECT, subject).rstrip(" ")
