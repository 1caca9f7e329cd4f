"""What there is to choose from: sizes, relations, files and words for the designer's fields, hosts to train on; and
what helps to choose. No widgets here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.errors import KituiError
from engine.records.hosts import Host, hosts_path, read_hosts
from engine.records.states import LOCAL
from engine.records.status import HostStatus
from engine.records.workspace import Workspace
from engine.spec.fact_files import read_facts
from engine.spec.facts import Fact
from engine.spec.files import check_file, kind_of
from engine.spec.models import PRESETS
from engine.spec.numbers import format_count
from engine.spec.sweep_file import setting_choices
from engine.spec.templates import read_templates, render
from kitui.services.draft import Draft, Field
from kitui.services.format import counted, size_of_bytes

_TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_SUFFIXES = {
    "facts.path": _TABLES,
    "facts.templates": (".toml",),
    "background.path": (".txt", ".md", ".jsonl", ".parquet"),
}
_SAMPLES = {"facts.path": "facts.jsonl", "facts.templates": "templates.toml"}
_MANY = 400  # files of a folder; more are not listed, one types the name
_LINE = 300  # characters of a line that are shown


class Choice(NamedTuple):
    value: str
    """As it stands in the field; for a folder its path."""
    label: str
    about: str
    folder: bool = False
    """Chosen, it is gone into."""


class Offer(NamedTuple):
    """Something to choose, one or `several` of it. `listed` gives the choices, of a folder where it is files; `glimpse`
    some lines on one of them. Either may take a moment, and `listed` may raise KituiError."""

    title: str
    several: bool
    chosen: list[str]
    folder: Path | None
    listed: Callable[[Path | None], list[Choice]]
    glimpse: Callable[[Choice], list[str]]


def field_offer(draft: Draft, field: Field) -> Offer:
    """What such a field can be given. Of files, those of the folder of the one that it names."""
    key = field.key
    return Offer(
        title=field.label,
        several=field.kind == "list",
        chosen=[part.strip() for part in draft.text_of(key).split(",") if part.strip()],
        folder=_folder_of(draft, key) if key in _SUFFIXES else None,
        listed=lambda folder: choices(draft, key, folder),
        glimpse=lambda choice: glimpse(draft, key, choice),
    )


def host_offer(workspace: Workspace, known_hosts: Sequence[HostStatus], chosen: list[str]) -> Offer:
    """The hosts of hosts.toml, with what the status document says of them, and this machine."""
    met = {host.name: host for host in known_hosts}

    def listed(_folder: Path | None) -> list[Choice]:
        known = read_hosts(workspace)
        return [Choice(name, name, _about_host(known.get(name), met.get(name))) for name in (LOCAL, *known)]

    def more(choice: Choice) -> list[str]:
        if choice.value == LOCAL:
            return [
                f"other machines stand in {hosts_path(workspace)}",
                "kitui hosts says how; kitui hosts check tries them",
            ]
        host = met.get(choice.value)
        return [host.fault] if host is not None and host.fault else []

    return Offer("hosts", True, chosen, None, listed, more)


def _about_host(host: Host | None, status: HostStatus | None) -> str:
    where = "this machine" if host is None else f"{host.kind} {host.ssh or ''}".strip()
    return f"{where}, {counted(status.slots, 'slot')}" if status and status.slots else where


def has_choices(key: str) -> bool:
    return key in _SUFFIXES or key in ("grid.model_size", "facts.relations") or bool(setting_choices(key))


def choices(draft: Draft, key: str, folder: Path | None = None) -> list[Choice]:
    """What such a field can be given; of files, those of `folder` or else of the one that the field names. KituiError
    where what it depends on cannot be read."""
    if key == "grid.model_size":
        return [Choice(name, name, f"N = {format_count(shape.num_params)}") for name, shape in PRESETS.items()]
    if key == "facts.relations":
        return _relations(draft)
    if key in _SUFFIXES:
        return _files(draft, key, folder or _folder_of(draft, key))
    return [Choice(word, word, "") for word in setting_choices(key)]


def _folder_of(draft: Draft, key: str) -> Path:
    """The folder of the file that a field names, or the sweep file's own."""
    named = draft.text_of(key)
    folder = (draft.base / named).parent
    return folder if named and folder.is_dir() else draft.base


def _relations(draft: Draft) -> list[Choice]:
    facts, templates = draft.facts().facts, draft.templates()
    sizes = Counter(fact.relation for fact in facts)
    found = []
    for relation in sorted(sizes, key=lambda r: (len(r), r)):  # P17 before P159
        objects = len({fact.object for fact in facts if fact.relation == relation})
        about = f"{sizes[relation]:>6,} facts {objects:>6,} objects"
        found.append(Choice(relation, relation, about + ("" if relation in templates else "  ! no templates")))
    return found


def _files(draft: Draft, key: str, folder: Path) -> list[Choice]:
    suffixes = _SUFFIXES[key]
    found = [Choice(str(folder.parent), "..", "the folder above", folder=True)]
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError as error:
        return [*found, Choice("", "", f"cannot be read: {error.strerror}", folder=True)]
    shown = [e for e in entries if not e.name.startswith(".")]
    found += [Choice(e.path, f"{e.name}/", "", folder=True) for e in shown if e.is_dir()][:_MANY]
    files = [e for e in shown if e.is_file() and kind_of(Path(e.name)) in suffixes]  # packed ones too
    if key == "background.path":
        for suffix in suffixes:
            of_kind = [e for e in files if e.name.lower().endswith(suffix)]
            if len(of_kind) > 1:
                size = size_of_bytes(sum(e.stat().st_size for e in of_kind))
                pattern = f"*{suffix}"
                about = f"{counted(len(of_kind), 'file')}, {size}"
                found.append(Choice(_from_base(draft, folder / pattern), pattern, about))
    sample = _SAMPLES.get(key, "")
    if sample and folder == draft.base and draft.file(sample) != draft.base / sample:
        found.append(Choice(sample, sample, "of kitui's samples; saved beside the sweep"))
    for entry in files[:_MANY]:
        found.append(Choice(_from_base(draft, Path(entry.path)), entry.name, size_of_bytes(entry.stat().st_size)))
    if len(files) > _MANY:
        found.append(Choice(str(folder), "…", f"{len(files) - _MANY:,} more: type the name", folder=True))
    return found


def _from_base(draft: Draft, path: Path) -> str:
    """As it is written in the sweep file: from its own folder where it lies there."""
    return str(path.relative_to(draft.base)) if path.is_relative_to(draft.base) else str(path)


def glimpse(draft: Draft, key: str, choice: Choice) -> list[str]:
    """What is in a file or relation, in a few lines; nothing for other choices."""
    if choice.folder or not (key in _SUFFIXES or key == "facts.relations"):
        return []
    path = draft.file(choice.value)
    try:
        if key == "facts.path":
            return _glimpse_of_facts(draft, path)
        if key == "facts.templates":
            return _glimpse_of_templates(path)
        if key == "facts.relations":
            return _glimpse_of_relation(draft, choice.value)
        return _glimpse_of_text(path)
    except (KituiError, OSError) as error:
        return [f"! {error}"]


def _glimpse_of_facts(draft: Draft, path: Path) -> list[str]:
    facts, _, _, notes = read_facts(path, draft.reading())
    relations = Counter(fact.relation for fact in facts)
    largest = ", ".join(f"{name} {count:,}" for name, count in relations.most_common(6))
    lines = [f"{len(facts):,} facts, {counted(len(relations), 'relation')}: {largest}"]
    return [*lines, *(" · ".join(fact) for fact in _spread(facts, 2)), *notes[:1]]


def _glimpse_of_templates(path: Path) -> list[str]:
    templates = read_templates(path)
    lines = [f"{counted(len(templates), 'relation')}"]
    for name, of_relation in list(templates.items())[:2]:
        lines += [f"{name}: {of_relation.statements[0]}", f"{name}: {of_relation.questions[0]}"]
    return lines


def _glimpse_of_relation(draft: Draft, relation: str) -> list[str]:
    facts, templates = draft.facts().facts, draft.templates()
    of_relation = [fact for fact in facts if fact.relation == relation]
    if relation not in templates:
        return [" · ".join(fact) for fact in _spread(of_relation, 3)]
    return [render(templates[relation].statements[0], fact) for fact in _spread(of_relation, 3)]


def _glimpse_of_text(path: Path) -> list[str]:
    """The beginning of the first file that the name or pattern means."""
    files = sorted(path.parent.glob(path.name))
    if not files:
        return ["no such file"]
    check_file(files[0])
    with files[0].open("rb") as file:
        head = file.read(2_000)
    if head.startswith(b"PAR1"):
        import pyarrow.parquet as pq

        table = pq.ParquetFile(files[0])
        return [f"{table.metadata.num_rows:,} rows: {', '.join(table.schema_arrow.names)}"]
    lines = [line.strip() for line in head.decode(errors="replace").splitlines() if line.strip()]
    return [line[:_LINE] for line in lines[:3]]


def _spread(facts: Sequence[Fact], number: int) -> list[Fact]:
    """So many of them, from beginning to end."""
    return [facts[i * len(facts) // number] for i in range(min(number, len(facts)))]
