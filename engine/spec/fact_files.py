"""Files of facts, as they are published: read, cleaned, and what cannot be asked about left out and counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import DataError, KituiError, together
from engine.spec.fact_settings import FactColumns, FactReading, Labels
from engine.spec.facts import Fact, clean_text, holds_words
from engine.spec.files import PACKED, kind_of
from engine.spec.tables import DELIMITED, place, read_rows, values_at

_FILE = "{file}"


class FactTable(NamedTuple):
    """What files of facts hold."""

    facts: list[Fact]
    """Those that can be used, in file order."""
    objects: dict[str, dict[str, tuple[str, ...]]]
    """By relation and subject, all objects, where there are several."""
    aliases: dict[str, tuple[str, ...]]
    """By object, its other names."""
    notes: list[str]
    """What was left out, in words."""


class _Name(NamedTuple):
    text: str
    aliases: tuple[str, ...] = ()


class _Row(NamedTuple):
    """A row of a file, where it stands, and its facts, one for each object; none where an id has no label."""

    where: str
    facts: list[Fact]
    aliases: dict[str, tuple[str, ...]]


def read_facts(
    paths: Path | Sequence[Path], reading: FactReading | None = None, *, labels_path: Path | None = None
) -> FactTable:
    """The facts of one or more JSON, JSONL, CSV, TSV or Parquet files.

    Left out, and counted in the notes: facts that give their answer away, facts of a subject with several objects in
    one relation, as `reading` says, and facts whose ids have no label. A fact given twice is an error unless duplicates
    are merged. DataError names every line with a fault, of all files together.
    """
    paths = [paths] if isinstance(paths, Path) else paths
    reading = reading or FactReading()
    labels = _read_labels(labels_path, reading.labels) if reading.labels and labels_path else None
    first_at: dict[Fact, str] = {}
    aliases: dict[str, dict[str, None]] = defaultdict(dict)
    num_merged = num_unlabelled = 0
    faults: list[KituiError] = []
    for row in _rows(paths, reading, faults, labels):
        num_unlabelled += not row.facts
        for fact in row.facts:
            if fact in first_at and reading.duplicates == "refuse":
                faults.append(_twice(fact, first_at[fact], row.where))
            num_merged += fact in first_at
            first_at.setdefault(fact, row.where)
            aliases[fact.object].update(dict.fromkeys(row.aliases.get(fact.object, ())))
    if faults:
        raise together(faults)
    where = ", ".join(map(str, paths))
    if not first_at:
        mend = "Give one fact a line." if not num_unlabelled else "None of their ids has a label."
        raise DataError("there are no facts in this file.", where=where, mend=mend)
    objects: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for fact in first_at:
        objects[fact.relation][fact.subject].append(fact.object)
    several = {
        relation: {subject: tuple(names) for subject, names in by_subject.items() if len(names) > 1}
        for relation, by_subject in objects.items()
    }
    kept, notes = _usable(first_at, several, reading)
    if num_merged:
        notes.insert(0, f"{num_merged} duplicate facts merged")
    if num_unlabelled:
        notes.append(f"{num_unlabelled} facts left out: an id in them has no label")
    return FactTable(
        kept,
        {relation: by_subject for relation, by_subject in several.items() if by_subject},
        {name: tuple(others) for name, others in aliases.items() if others},
        notes,
    )


def _usable(
    facts: Iterable[Fact], several: Mapping[str, Mapping[str, tuple[str, ...]]], reading: FactReading
) -> tuple[list[Fact], list[str]]:
    """Those that can be asked about, and how many are left out for which reason."""
    kept, num_several, num_leaking = [], 0, 0
    for fact in facts:
        objects = several[fact.relation].get(fact.subject, ())
        one_of_several = reading.several_objects == "leave_out" and bool(objects)
        one_of_several |= reading.several_objects == "first" and bool(objects) and fact.object != objects[0]
        leaks = _leaks(fact, reading.leaks)
        num_several += one_of_several
        num_leaking += leaks
        if not one_of_several and not leaks:
            kept.append(fact)
    notes = []
    if num_several:
        first = " and the first is kept" * (reading.several_objects == "first")
        notes.append(f"{num_several} facts left out: their subject has several objects in one relation{first}")
    if num_leaking:
        words = {
            "words": "their subject or object holds the other",
            "letters": "their subject contains their object",
        }
        notes.append(f"{num_leaking} facts left out: {words[reading.leaks]}")
    return kept, notes


def _leaks(fact: Fact, how: str) -> bool:
    if how == "letters":
        return fact.object.casefold() in fact.subject.casefold()
    return how == "words" and (holds_words(fact.subject, fact.object) or holds_words(fact.object, fact.subject))


def _rows(
    paths: Sequence[Path], reading: FactReading, faults: list[KituiError], labels: Mapping[str, _Name] | None
) -> Iterator[_Row]:
    """All rows of all files; what is wrong with one is added to the faults, and the others go on."""
    for path in paths:
        columns = reading.columns
        relation = reading.relation.replace(_FILE, _stem(path)) if reading.relation else None
        # What is named in a nested row need not be a column of its table.
        wanted = [columns.subject, columns.object, *([] if relation else [columns.relation])]
        required = [name for name in wanted if kind_of(path) in DELIMITED]
        try:
            by_key = (columns.subject, columns.object) == ("key", "value")
            rows = read_rows(
                path, key="facts.path", required=required, has_header=not columns.have_no_header, by_key=by_key
            )
            for line, row in rows:
                try:
                    yield _row(place(path, line), row, columns, relation, labels)
                except DataError as error:
                    faults.append(error)
        except DataError as error:  # the file cannot be read on
            faults.append(error)


def _stem(path: Path) -> str:
    name = path.name
    while Path(name).suffix.lower() in (*PACKED, kind_of(path)):
        name = Path(name).stem
    return name


def _row(
    where: str,
    row: Mapping[str, Any],
    columns: FactColumns,
    relation: str | None,
    labels: Mapping[str, _Name] | None,
) -> _Row:
    subject = _one(where, columns.subject, row)
    of_relation = relation or _one(where, columns.relation, row)
    objects = _names(where, columns.object, row)
    if labels is not None:
        if subject not in labels or any(name.text not in labels for name in objects):
            return _Row(where, [], {})
        subject, objects = labels[subject].text, [labels[name.text] for name in objects]
    if columns.aliases is not None and values_at(row, columns.aliases):
        given = tuple(name for value in values_at(row, columns.aliases) for name in _flat(value))
        objects = [name._replace(aliases=(*name.aliases, *given)) for name in objects]
    return _Row(
        where,
        list(dict.fromkeys(Fact(subject, of_relation, name.text) for name in objects)),
        {name.text: tuple(alias for alias in name.aliases if alias != name.text) for name in objects},
    )


def _one(where: str, column: str, row: Mapping[str, Any], what: str = "columns") -> str:
    found = values_at(row, column)
    value = found[0] if len(found) == 1 else found or None
    text = clean_text(value)
    if not text or (isinstance(value, str) and "\n" in value.strip()):
        raise _no_text(where, column, value, what)
    return text


def _names(where: str, column: str, row: Mapping[str, Any]) -> list[_Name]:
    """The objects of a row: a text, a list of them, or a list of lists, each a name and its aliases."""
    found = values_at(row, column)
    values = found[0] if len(found) == 1 and isinstance(found[0], list) else found
    names = []
    for value in values:
        texts = [clean_text(item) for item in (value if isinstance(value, list) else [value])]
        if not texts or not all(texts) or (isinstance(value, str) and "\n" in value.strip()):
            raise _no_text(where, column, value)
        names.append(_Name(texts[0], tuple(texts[1:])))
    if not names:
        raise _no_text(where, column, None)
    return names


def _flat(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list):
            yield from _flat(item)
        elif text := clean_text(item):
            yield text


def _no_text(where: str, column: str, value: Any, what: str = "columns") -> DataError:
    mend = f"facts.{what} says where subject, relation and object stand." if what == "columns" else ""
    if isinstance(value, str) and "\n" in value.strip():
        mend = "A name of several lines: there may be a quote that nothing ends, here or before."
    return DataError("expected text here, printable and not empty.", where=where, key=column, value=value, mend=mend)


def _twice(fact: Fact, first: str, second: str) -> DataError:
    file, _, first_place = first.rpartition(", ")
    same_file = second.startswith(f"{file}, ")
    return DataError(
        f"the same fact stands on {first_place if same_file else first} and here.",
        where=second,
        value=" · ".join(fact),
        mend='Delete one of them, or set facts.duplicates = "merge".',
    )


def _read_labels(path: Path, labels: Labels) -> dict[str, _Name]:
    """By id, what it is called; rows without a label are passed over. DataError names every row without an id."""
    found: dict[str, _Name] = {}
    faults: list[KituiError] = []
    rows = read_rows(path, key="facts.labels", has_header=not labels.have_no_header, by_key=True)
    for number, row in rows:
        try:
            key = _one(place(path, number), labels.id, row, "labels")
        except DataError as error:
            faults.append(error)
            continue
        names = [name for value in values_at(row, labels.label) for name in _flat(value)]
        others = [name for value in values_at(row, labels.aliases) for name in _flat(value)] if labels.aliases else []
        if names:
            found.setdefault(key, _Name(names[0], tuple(others)))
    if faults:
        raise together(faults)
    if not found:
        mend = "labels.id and labels.label say in which columns ids and labels stand."
        raise DataError("there are no labels in this file.", where=str(path), key="facts.labels", mend=mend)
    return found
