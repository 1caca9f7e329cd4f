"""The sweep file: `sweep.toml` read into its models; every fault named with its key and its mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from engine.errors import DataError, SpecError, nearest
from engine.spec.files import as_spec_error, read_toml
from engine.spec.models import PRESETS
from engine.spec.names import check_name
from engine.spec.sweep import Sweep

_HINTS = {
    "grid.model_size": f"Sizes: {', '.join(PRESETS)}; others are described in [models].",
    "grid.infusion_frequency": 'Give a list such as [0, 1, 2, 4] or "geom(1, 512, 10)".',
    "grid.num_tokens": "Give a list such as [300e3] or [10B, 100B].",
    "grid.seed": "Give a list such as [0, 1, 2].",
    "facts.path": "Give a table of subject, relation and object: .jsonl, .json, .csv, .tsv or .parquet.",
    "facts.templates": "Give a TOML file with statements and questions for each relation, or a table of templates.",
    "execution.num_processes": 'Give a number, or a table by model size: { "3B" = 8 }.',
    "training.learning_rate": (
        "Give a number, a table by model size, or { base = 0.01, base_width = 32, width_exponent = -0.5 }."
    ),
}


def read_sweep(path: Path) -> Sweep:
    """The sweep in a file; its name is the file's unless it gives one. SpecError lists every fault of the file."""
    try:
        table = read_toml(path)
    except DataError as error:
        raise as_spec_error(error, "Give a sweep file; kitui init writes one.") from None
    table.setdefault("name", path.stem)
    if isinstance(table["name"], str):
        check_name(table["name"], where=str(path))
    try:
        return Sweep.model_validate(table)
    except ValidationError as error:
        raise _spec_error(path, table, error) from None
    except SpecError as error:  # an unknown preset, raised from within a validator
        error.where, error.mend = str(path), _HINTS.get(error.key, error.mend)
        error.args = (error.message,)
        raise


def setting_default(key: str) -> Any:
    """What holds where a sweep file gives no such key ("mixture.fill"); None where nothing does."""
    info = _setting(key)
    return None if info is None or info.is_required() else info.default


def setting_choices(key: str) -> tuple[str, ...]:
    """The words that such a key may hold; empty where it is no matter of choice."""
    info = _setting(key)
    return get_args(info.annotation) if info is not None and get_origin(info.annotation) is Literal else ()


def _setting(key: str) -> FieldInfo | None:
    fields = Sweep.model_fields
    *sections, last = key.split(".")
    for section in sections:
        model = _model_of(fields[section].annotation)
        assert model is not None
        fields = model.model_fields
    return fields.get(last)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, or may hold."""
    options = getattr(annotation, "__args__", (annotation,))
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def faults_of(table: dict[str, Any]) -> list[tuple[str, Any, str, str]]:
    """All that is wrong with the content of a sweep file: key, value (None where it is missing), what, mend."""
    try:
        Sweep.model_validate(table)
    except ValidationError as error:
        return _faults(table, error)
    except SpecError as error:  # an unknown preset, raised from within a validator
        return [(error.key, error.value, error.what, _HINTS.get(error.key, error.mend))]
    return []


def _spec_error(path: Path, table: dict[str, Any], error: ValidationError) -> SpecError:
    """All faults that pydantic found as one error, the first in its fields."""
    faults = _faults(table, error)
    key, value, what, mend = faults[0]
    rest = "".join(f"\n{path}: {k}{f' = {v!r}' if v is not None else ''}: {w} {m}" for k, v, w, m in faults[1:])
    given = {"value": value} if value is not None else {}
    return SpecError(what, where=str(path), key=key, mend=mend + rest, **given)


def _faults(table: dict[str, Any], error: ValidationError) -> list[tuple[str, Any, str, str]]:
    """One fault a key: where a value may be a number or a table, a wrong number is no wrong table as well."""
    by_key: dict[str, tuple[str, Any, str, str]] = {}
    for item in sorted(error.errors(), key=lambda item: item["type"] in ("dict_type", "model_type")):
        fault = _fault(table, item)
        by_key.setdefault(fault[0], fault)
    return list(by_key.values())


def _fault(table: dict[str, Any], item: Any) -> tuple[str, Any, str, str]:
    # Union members appear in pydantic's location by their type's name; people know only the file's keys.
    location = [str(part) for part in item["loc"]]
    while location and not _lookup(table, location)[0] and item["type"] != "missing" and len(location) > 1:
        location = location[:-1]
    key = ".".join(location) or "sweep"
    found, value = _lookup(table, location)
    if item["type"] == "extra_forbidden":
        return key, value, "unknown key.", nearest(location[-1], _known_keys(location[:-1]))
    if item["type"] == "missing":
        return key, None, "this setting is required.", _hint(location)
    message = item["msg"].removeprefix("Value error, ")
    shown = value if found and not isinstance(value, dict) else None
    return key, shown, message[0].lower() + message[1:] + ("" if message.endswith(".") else "."), _hint(location)


def _lookup(table: Any, location: list[str]) -> tuple[bool, Any]:
    for part in location:
        if isinstance(table, dict) and part in table:
            table = table[part]
        elif isinstance(table, list) and part.isdigit() and int(part) < len(table):
            table = table[int(part)]
        else:
            return False, None
    return True, table


def _known_keys(location: list[str]) -> list[str]:
    model: Any = Sweep
    for part in location:
        if location[0] == "models" and part != "models":  # a name of the user's own
            continue
        model = _model_of(model.model_fields[part].annotation) if part in model.model_fields else None
        if model is None:
            return []
    return list(model.model_fields)


def _hint(location: list[str]) -> str:
    return _HINTS.get(".".join(location), "")
