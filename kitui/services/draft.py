"""A sweep being designed: a TOML document seen field by field, its comments kept. No widgets here."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit
from pydantic import ValidationError
from tomlkit.exceptions import TOMLKitError

from engine.errors import DataError, KituiError, SpecError
from engine.records.workspace import Workspace, write_atomically
from engine.spec.axes import AXES
from engine.spec.fact_files import FactTable, read_facts
from engine.spec.fact_settings import FactReading, TemplateColumns, TemplateMarks
from engine.spec.files import TOML_BYTES, as_spec_error, files_of, read_text
from engine.spec.names import check_name
from engine.spec.sweep_file import faults_of, setting_default
from engine.spec.templates import RelationTemplates, read_templates
from kitui.services.samples import sample_path


class Field(NamedTuple):
    key: str
    """As in the sweep file: `grid.seed`."""
    label: str
    kind: str
    """`text` is taken as it is typed, `list` is split at commas, `value` is read as TOML where it is that."""
    help: str


FIELDS = (
    Field("name", "name", "text", "The sweep's name: small letters, digits, '.', '_' and '-'."),
    *(Field(f"grid.{axis.key}", axis.title, "list", axis.help) for axis in AXES),
    Field("facts.path", "facts file", "text", "subject, relation, object: a table, .jsonl, .csv, .parquet …"),
    Field("facts.templates", "templates file", "text", "TOML: statements and questions for each relation."),
    Field("facts.relations", "relations", "list", "Only these; all of the file where empty."),
    Field("facts.objects_per_relation", "objects each", "value", "Only a relation's most frequent objects."),
    Field("facts.num_prior", "prior facts", "value", "Facts that lie in the background: what collapses."),
    Field("facts.num_infused", "infused facts", "value", "Facts written F times."),
    Field("facts.num_unseen", "unseen facts", "value", "Facts never written: the control."),
    Field("background.source", "background", "text", "builtin (Python's language reference), files or hub."),
    Field("background.path", "text files", "text", "For files: a file, a pattern (corpus/*.txt) or a folder."),
    Field("background.dataset", "text dataset", "text", "For hub: such as HuggingFaceFW/fineweb-edu."),
    Field("background.config", "text config", "text", "For hub: such as sample-10BT."),
    Field("background.max_tokens", "text tokens", "value", "Stop tokenising after so many; needed for hub."),
    Field("tokenizer.kind", "tokenizer", "text", "word (nano models), bpe, or hf with a name."),
    Field("tokenizer.vocab_size", "vocabulary", "value", "Words kept, or the size of the bpe vocabulary."),
    Field("tokenizer.name", "tokenizer name", "text", "For hf: a folder or a hub name."),
    Field("mixture.kind", "mixture", "text", "displace: exposures overwrite background within D; append: on top of D."),
    Field("mixture.fill", "fill", "text", "infused, or neutral: background text on the same stretches (control)."),
    Field("mixture.prior_rate", "prior rate", "value", "Exposures of each prior fact per million background tokens."),
    Field("mixture.questions_in_background", "questions read", "value", "true: prior facts are also asked there."),
    Field("training.context_length", "context", "value", "Tokens a row."),
    Field("training.batch_size", "batch", "value", "Rows a step."),
    Field("training.learning_rate", "learning rate", "value", "A number, or { base, base_width, width_exponent }."),
    Field("training.precision", "precision", "text", "fp32, bf16, or fp64 to check by."),
    Field("evaluation.kind", "questions", "text", "choice, rank, cloze, reverse, paraphrase, two_hop or neighbour."),
    Field("evaluation.num_choices", "choices", "value", "Answers offered to each question; chance is 1 in so many."),
    Field("evaluation.every_tokens", "score every", "value", "Tokens between scores during training."),
    Field("analysis.target_retention", "target R", "value", "What counts as acquired."),
    Field("execution.slots", "slots", "value", "Runs at once; empty: one a GPU, or one a CPU core."),
    Field("execution.num_processes", "processes", "value", 'That train one run together, one a GPU: 2, { "3B" = 8 }.'),
    Field("execution.data_parallel", "in parallel", "text", "ddp: each has all of the model; fsdp: it is divided."),
    Field("execution.keep_weights", "keep weights", "text", "none, last or all."),
)  # fmt: skip


class FieldGroup(NamedTuple):
    """Fields that belong together, by the sections of the sweep file that they are of."""

    title: str
    sections: tuple[str, ...]
    is_basic: bool = False
    """Whether everybody looks at them."""

    def fields(self) -> list[Field]:
        return [field for field in FIELDS if field.key.split(".")[0] in self.sections]


GROUPS = (
    FieldGroup("Grid", ("name", "grid"), is_basic=True),
    FieldGroup("Facts", ("facts",), is_basic=True),
    FieldGroup("Text", ("background", "mixture")),
    FieldGroup("Model", ("tokenizer",)),
    FieldGroup("Training", ("training",)),
    FieldGroup("Questions", ("evaluation", "analysis")),
    FieldGroup("Running", ("execution",)),
)
_BY_KEY = {field.key: field for field in FIELDS}
_ASIDE = "kitui-draft.toml"
_PATHS = (
    "facts.path", "facts.labels.path", "facts.templates", "texts.path", "background.path", "tokenizer.name",
    "evaluation.questions", "training.init_from",
)  # fmt: skip
_MAY_BE_ON_THE_HUB = ("tokenizer.name", "training.init_from")


class Draft:
    """A sweep file as it is being changed. `path` is where it is saved, and relative paths in it start from there;
    files that are not there are taken from `samples`, and saved beside it."""

    def __init__(self, text: str, path: Path, samples: Path | None = None) -> None:
        try:
            self.document = tomlkit.parse(text)
        except TOMLKitError as error:
            raise SpecError(f"not valid TOML: {error}.", where=str(path)) from None
        except RecursionError:
            raise SpecError("lists or tables are nested too deeply to be read.", where=str(path)) from None
        self.path = path
        self.samples = samples
        self._saved = self.document.as_string()
        self._own: Path | None = None

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""
        return self.path.parent.resolve()

    def file(self, name: str) -> Path:
        """The file that a field means: one's own, or else a sample of this name."""
        own = self.base / name
        sample = self.samples / name if self.samples is not None else own
        return sample if name and not own.exists() and sample.exists() else own

    def _of_facts(self) -> dict[str, object]:
        given = _lookup(self.document.unwrap(), "facts")
        return given if isinstance(given, dict) else {}

    def reading(self) -> FactReading:
        """How it says that its files of facts are to be read, where that can be understood; those given twice are
        merged."""
        given = {key: value for key, value in self._of_facts().items() if key in FactReading.model_fields}
        try:
            return FactReading.model_validate(given | {"duplicates": "merge"})
        except ValidationError:  # said beside the fields
            return FactReading(duplicates="merge")

    def facts(self) -> FactTable:
        """All facts of the files that it names, read as it says; those given twice are merged. DataError as of
        `read_facts`."""
        names, reading = self._of_facts().get("path") or "", self.reading()
        named = names if isinstance(names, list) else [names]
        paths = [path for name in named for path in self._matching(str(name))]
        return read_facts(paths, reading, labels_path=self.file(reading.labels.path) if reading.labels else None)

    def templates(self) -> dict[str, RelationTemplates]:
        """The templates of the file that it names. DataError as of `read_templates`."""
        table = self._of_facts()
        try:
            columns = TemplateColumns.model_validate(table.get("template_columns", {}))
            marks = TemplateMarks.model_validate(table.get("template_marks", {}))
        except ValidationError as error:
            raise SpecError(f"{error.errors()[0]['msg']}.", key="facts.template_marks") from None
        return read_templates(self.file(str(table.get("templates", ""))), columns, marks)

    def _matching(self, name: str) -> list[Path]:
        return files_of(self.path, [name], "facts.path") if "*" in name else [self.file(name)]

    @property
    def name(self) -> str:
        return str(self.document.get("name", self.path.stem))

    @property
    def changed(self) -> bool:
        return self.document.as_string() != self._saved

    def text_of(self, key: str) -> str:
        """A field's value as one types it."""
        value = _lookup(self.document.unwrap(), key)
        if key == "name" and value is None:
            return self.name
        return "" if value is None else _as_typed(value)

    def put(self, key: str, text: str) -> None:
        """Change a field; an empty one is taken out of the file, and the default holds."""
        *sections, last = key.split(".")
        table: Any = self.document
        for section in sections:
            if section not in table:
                if not text.strip():
                    return
                table.add(section, tomlkit.table())
            table = table[section]
        if not text.strip():
            table.pop(last, None)
            return
        if key == "name" and self._own is None:  # not saved yet: the file goes by the name of the sweep
            self.path = self.path.with_name(f"{text.strip()}.toml".replace("/", "-"))
        value = _parsed(text.strip(), _BY_KEY[key].kind)
        if _lookup(self.document.unwrap(), key) != value:
            table[last] = value

    def faults(self) -> dict[str, str]:
        """What is wrong, by key; keys that no field shows are named in the words under ''."""
        table = tomllib.loads(self.document.as_string())
        table.setdefault("name", self.path.stem)
        found: dict[str, str] = {}
        try:
            check_name(str(table["name"]))
        except SpecError as error:
            found["name"] = f"{error.what} {error.mend}"
        for key, value, what, mend in faults_of(table):
            place = next((k for k in (key, *_prefixes(key)) if k in _BY_KEY), "")
            if key == "grid.model_size":  # which of them; the sizes that there are stand beside the field
                found.setdefault(key, f"{value}: {what}" if isinstance(value, str) else what)
            else:
                found.setdefault(place, f"{'' if place else key + ': '}{what} {mend}".strip())
        return found

    def standalone(self) -> str:
        """The file with its name in it and all paths absolute: to be planned from anywhere."""
        document = tomlkit.parse(self.document.as_string())
        named = "" if "name" in document else f"name = {tomlkit.item(self.path.stem).as_string()}\n"
        models = [f"models.{name}.init_from" for name in document.get("models", {})]
        for key in (*_PATHS, *models):
            *sections, last = key.split(".")
            table: Any = document
            for section in sections:
                table = table.get(section, {}) if isinstance(table, dict) else {}
            value = table.get(last) if isinstance(table, dict) else None
            may_be_elsewhere = key in _MAY_BE_ON_THE_HUB or key in models
            if isinstance(value, str) and "{" in value and may_be_elsewhere:
                table[last] = str(self.base / value) if (self.base / value).parent.is_dir() else value
            elif isinstance(value, str) and (not may_be_elsewhere or self.file(value).exists()):
                table[last] = str(self.file(value))
            elif isinstance(value, list):
                table[last] = [str(self.file(str(v))) for v in value]
        return named + str(document.as_string())

    def save(self, path: Path | None = None) -> Path:
        """Write the file, with the sample facts and templates beside it where it names them and they are not there."""
        target = self.target(path or self.path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            for name in self.brought(target):
                (target.parent / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.file(name), target.parent / name)
            write_atomically(target, self.document.as_string().encode(), mode=0o666)
        except OSError as error:
            raise SpecError(f"cannot be written: {error.strerror}.", value=str(target)) from None
        self.path, self._own, self._saved = target, target, self.document.as_string()
        return target

    def target(self, path: Path) -> Path:
        """The file that a name means: always a .toml."""
        path = path.expanduser()
        return path if path.suffix == ".toml" else path.with_name(f"{path.name}.toml")

    def would_overwrite(self, path: Path) -> bool:
        """Whether saving there replaces a file that this draft was not opened from or saved to."""
        return path.exists() and path != self._own

    def brought(self, path: Path) -> list[str]:
        """The sample files that saving there puts beside it: those that it names and that are not there."""
        folder = self.target(path).parent
        names = [self.text_of(key) for key in ("facts.path", "facts.templates")]
        return [
            name
            for name in names
            if name and not Path(name).is_absolute() and self.file(name).exists() and not (folder / name).exists()
        ]


def new_draft() -> Draft:
    """The commented sweep of `kitui init`, with the sample facts; saved in the current folder unless told otherwise."""
    path = Path.cwd() / "sweep.toml"
    number = 2
    while path.exists():
        path = Path.cwd() / f"sweep-{number}.toml"
        number += 1
    source = sample_path("initial.toml")
    return Draft(source.read_text(encoding="utf-8"), path, source.parent)


def open_draft(path: Path) -> Draft:
    """A sweep file, to be changed. SpecError where it cannot be read."""
    try:
        draft = Draft(read_text(path, most_bytes=TOML_BYTES), path.resolve())
    except DataError as error:
        raise as_spec_error(error, "Give a .toml file.") from None
    draft._own = draft.path
    return draft


def draft_of(workspace: Workspace, sweep: str) -> Draft:
    """The sweep file that a sweep was launched from, or what the workspace keeps of it where that file is gone."""
    from engine.records.bundle import read_bundle

    folder = workspace.sweep(sweep)
    bundle = read_bundle(folder.bundle)
    if bundle is None:
        raise SpecError("this sweep was not launched here: there is no sweep file to change.", value=sweep)
    origin = Path(bundle.origin) if bundle.origin else None
    if origin is not None and origin.is_file() and not origin.is_relative_to(sample_path("").resolve()):
        return open_draft(origin)
    draft = Draft(bundle.sweep_toml, Path.cwd() / f"{sweep}.toml", origin.parent if origin else None)
    draft.put("name", sweep)
    draft._saved = draft.document.as_string()  # its name is no change of the user's
    return draft


def default_text(key: str) -> str:
    """What holds where a field is left empty, as one types it."""
    value = setting_default(key)
    return "" if value is None else _as_typed(list(value) if isinstance(value, tuple) else value)


@contextlib.contextmanager
def written_aside(text: str) -> Iterator[Path]:
    """A file with this draft, for those who read files; it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _ASIDE
        path.write_text(text, encoding="utf-8")
        yield path


def words_of(error: Exception, beside: bool = False) -> str:
    """The words of an error in a draft: its file is not named, for it was only written aside; nor is its key where
    the words stand `beside` the field."""
    if not isinstance(error, KituiError):
        return str(error)
    where = "" if _ASIDE in error.where else error.where
    key = "" if beside else error.key
    setting = f"{key} = {error.value}" if key and error.value else key or error.value
    return ": ".join(part for part in (where, setting, f"{error.what} {error.mend}".strip()) if part)


def _parsed(text: str, kind: str) -> object:
    if kind == "text":
        return text
    if kind == "list":
        return [_parsed(part, "item") for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    stripped = text.strip().strip('"')
    with contextlib.suppress(ValueError, RecursionError):
        value = tomllib.loads(f"x = {text.strip()}")["x"]
        if isinstance(value, (bool, int, float, str, dict, list)):
            return value
    return stripped


def _as_typed(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_as_typed(v) for v in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {tomlkit.item(v).as_string()}" for k, v in value.items()) + " }"
    return str(value)


def _lookup(table: object, key: str) -> object:
    for part in key.split("."):
        if not isinstance(table, dict) or part not in table:
            return None
        table = table[part]
    return table


def _prefixes(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]
