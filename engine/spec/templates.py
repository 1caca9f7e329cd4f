"""Templates: the ways to write a fact (statements) and to ask for it (questions), relation by relation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import DataError, nearest, together
from engine.spec.fact_settings import TemplateColumns, TemplateMarks
from engine.spec.facts import Fact, clean_text, is_of_word, is_without_blanks
from engine.spec.files import kind_of, read_toml
from engine.spec.tables import DELIMITED, JSON_LINES, place, read_rows, values_at

SUBJECT, OBJECT = "{subject}", "{object}"
_KINDS, _REVERSE, _DESCRIPTION = ("statements", "questions"), "reverse", "description"


class RelationTemplates(NamedTuple):
    """One relation's templates; each holds `{subject}` and `{object}` once. In a question the object comes last,
    for the answer is scored as what follows."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    reverse: tuple[str, ...] = ()
    """Questions for the subject, which comes last in them."""
    description: str = ""
    """What stands for the object where the subject is known: "the birthplace of {subject}"."""


def read_templates(
    path: Path, columns: TemplateColumns | None = None, marks: TemplateMarks | None = None
) -> dict[str, RelationTemplates]:
    """All relations of a templates file: TOML, or a table of templates, which serve as statements and, as far as they
    can, as questions. DataError names every template with a fault."""
    columns, marks = columns or TemplateColumns(), marks or TemplateMarks()
    is_toml = kind_of(path) not in (*DELIMITED, *JSON_LINES, ".json", ".parquet")
    tables = read_toml(path, "facts.templates") if is_toml else _from_table(path, columns, marks)
    faults = [fault for relation, table in tables.items() for fault in _faults(path, relation, table, marks)]
    if faults:
        raise together(faults)
    return {relation: _relation(table, marks) for relation, table in tables.items()}


def _from_table(path: Path, columns: TemplateColumns, marks: TemplateMarks) -> dict[str, dict[str, list[str]]]:
    """The same as of a TOML file, with the table's own marks; each template once."""
    tables: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: {kind: {} for kind in _KINDS})
    faults = []
    for number, row in read_rows(path, key="facts.templates"):
        relations = [clean_text(value) for value in values_at(row, columns.relation)]
        if len(relations) != 1 or not relations[0]:
            mend = "facts.template_columns says where relation and template stand."
            faults.append(DataError("no relation here.", where=place(path, number), key=columns.relation, mend=mend))
            continue
        of_relation = tables[relations[0]]
        for column, kinds in (
            (columns.template, _KINDS),
            (columns.statement, _KINDS[:1]),
            (columns.question, _KINDS[1:]),
        ):
            for text in values_at(row, column) if column else ():
                for template in text if isinstance(text, list) else [text]:
                    if not isinstance(template, str):
                        what = "expected a text."
                        faults.append(DataError(what, where=place(path, number), key=str(column), value=template))
                        continue
                    both = column == columns.template
                    for kind in kinds:
                        if not (both and kind == "questions" and not can_ask(_with_our_marks(template, marks))):
                            of_relation[kind][template] = None
    if faults:
        raise together(faults)
    return {r: {kind: list(texts) for kind, texts in kinds.items()} for r, kinds in tables.items()}


def _relation(table: Mapping[str, Any], marks: TemplateMarks) -> RelationTemplates:
    """Of a table in which nothing is wrong."""
    statements, questions, reverse = (
        tuple(_with_our_marks(template, marks) for template in table.get(kind, ())) for kind in (*_KINDS, _REVERSE)
    )
    return RelationTemplates(
        statements, questions, reverse, table.get(_DESCRIPTION, "").replace(marks.subject, SUBJECT)
    )


def _faults(path: Path, relation: str, table: Any, marks: TemplateMarks) -> Iterator[DataError]:
    """Everything that is wrong with a relation's templates."""
    if not isinstance(table, dict):
        yield DataError("expected a table.", where=str(path), key=relation, value=table, mend=f"Write [{relation}].")
        return
    known = (*_KINDS, _REVERSE, _DESCRIPTION)
    for name in table:
        if name not in (*known, "label"):
            mend = nearest(name, known)
            yield DataError("unknown key.", where=str(path), key=f"{relation}.{name}", mend=mend)
    for kind in (*_KINDS, *([_REVERSE] if _REVERSE in table else [])):
        templates = table.get(kind, [])
        if not isinstance(templates, list) or not templates:
            yield DataError(
                f"this relation has no {kind}.",
                where=str(path),
                key=f"{relation}.{kind}",
                mend='Give a list such as ["{subject} lies in {object}."].',
            )
            continue
        for index, given in enumerate(templates):
            fault = _fault(path, f"{relation}.{kind}[{index}]", given, marks, kind)
            if fault is not None:
                yield fault
        texts = [_with_our_marks(given, marks) for given in templates if isinstance(given, str)]
        if len({*texts}) < len(texts):
            yield DataError("a template stands here twice.", where=str(path), key=f"{relation}.{kind}")
    given = table.get(_DESCRIPTION, SUBJECT)
    text = given.replace(marks.subject, SUBJECT) if isinstance(given, str) else ""
    has_words = _DESCRIPTION not in table or (text != SUBJECT and text.strip() == text and text.isprintable())
    if not has_words or text.count(SUBJECT) != 1 or OBJECT in text or (marks.object and marks.object in text):
        yield DataError(
            f"a description holds {marks.subject} once among words of its own, on one line, and stands for the object.",
            where=str(path),
            key=f"{relation}.{_DESCRIPTION}",
            value=given,
            mend=f'Write it as "the birthplace of {marks.subject}".',
        )


def _fault(path: Path, key: str, given: Any, marks: TemplateMarks, kind: str) -> DataError | None:
    template = _with_our_marks(given, marks)
    if template.count(SUBJECT) != 1 or template.count(OBJECT) != 1:
        wanted = " and ".join(mark for mark in (marks.subject, marks.object) if mark)
        what = f"a template holds {wanted} once{' each' * bool(marks.object)}."
        mend = "facts.template_marks says how your file marks them."
        return DataError(what, where=str(path), key=key, value=given, mend=mend)
    asked = {"questions": template, _REVERSE: turned_round(template)}.get(kind)
    if asked is not None and not can_ask(asked):
        last, first = ("{object}", "{subject}") if kind == "questions" else ("{subject}", "{object}")
        what = f"in a question {last} comes after {first} and a blank: the answer is scored as what follows."
        return DataError(what, where=str(path), key=key, value=given)
    return None


def _with_our_marks(template: Any, marks: TemplateMarks) -> str:
    if not isinstance(template, str):
        return ""
    if not marks.object:
        return f"{template.replace(marks.subject, SUBJECT).rstrip(' ')} {OBJECT}"
    return template.replace(marks.subject, SUBJECT).replace(marks.object, OBJECT)


def can_ask(template: str) -> bool:
    """Whether the template, cut before its object, is a question: `ask` gives its context, `answer_prefix` and the
    object its answer. The object comes after the subject, and after a blank where the script has blanks."""
    subject, place = template.find(SUBJECT), template.find(OBJECT)
    if not 0 <= subject < place:
        return False
    before = template[place - 1]
    return before == " " or is_without_blanks(before) or (not before.isascii() and not is_of_word(before))


def render(template: str, fact: Fact) -> str:
    """The fact written out. Plain replacement in one pass over the template, so that braces in a name mean nothing."""
    before, after = template.split(SUBJECT)
    return before.replace(OBJECT, fact.object) + fact.subject + after.replace(OBJECT, fact.object)


def ask(template: str, subject: str) -> str:
    """What stands before the answer, without the blank before it: the context of a question."""
    return template.split(OBJECT)[0].replace(SUBJECT, subject).rstrip(" ")


def within(template: str, description: str) -> str:
    """The template asked of what a description stands for: its subject is the description's."""
    if template.startswith(SUBJECT):
        description = description[0].upper() + description[1:]
    return template.replace(SUBJECT, description)


def turned_round(template: str) -> str:
    """The template with subject and object in each other's place: it asks for the subject as `ask` does for the
    object."""
    return template.replace(SUBJECT, "\0").replace(OBJECT, SUBJECT).replace("\0", OBJECT)


def answer_prefix(template: str) -> str:
    """What stands between the context and the object: a blank, or nothing."""
    return " " if f" {OBJECT}" in template else ""
