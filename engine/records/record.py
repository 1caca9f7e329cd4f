"""What all records are: immutable structs that read JSON strictly, fields unknown to them left out.

msgspec, not pydantic: a viewer reads ten thousand of them at its start, and loading pydantic takes longer than that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.errors import DamageError, StateError
from engine.records.seals import check_seal, sealed
from engine.records.workspace import write_atomically

SCHEMA_VERSION = 1
"""Of every document: fields may be added; none is renamed or dropped without raising it."""

_T = TypeVar("_T", bound="Record")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything that is written into a workspace and read back."""


def plain(record: Record) -> Any:
    """The record as JSON content."""
    return msgspec.to_builtins(record, enc_hook=_dump_section)


def encoded(record: Record) -> bytes:
    """The record as JSON."""
    return msgspec.json.encode(record, enc_hook=_dump_section)


def decoded(model: type[_T], content: bytes) -> _T:
    """The record in JSON that this program has written. msgspec.MsgspecError where it is something else."""
    return msgspec.json.decode(content, type=model, dec_hook=_validate_section)


def write_record(path: Path, record: Record, *, indented: bool = True) -> None:
    """Replace the file by this record, with the digest of its text. Not `indented`: it is large, and for programs."""
    content = encoded(record)
    write_atomically(path, sealed(msgspec.json.format(content) if indented else content))


def read_record(model: type[_T], path: Path) -> _T | None:
    """The record in a file that is replaced atomically, or None where there is none yet. DamageError where the file is
    not what was written; StateError where it cannot be read now."""
    try:
        content = path.read_bytes()
        check_seal(content, path)
        return decoded(model, content)
    except FileNotFoundError:
        return None
    except msgspec.ValidationError as error:
        raise DamageError(f"written by another version of kitui? {error}.", where=str(path)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamageError(f"it cannot be read: {error}.", where=str(path)) from None
    except OSError as error:
        raise StateError(f"cannot be read: {error}.", where=str(path)) from None


# Settings from sweep files are pydantic models; some records carry them along.


def _dump_section(section: Any) -> Any:
    return section.model_dump(mode="json")


def _validate_section(model: type, data: Any) -> Any:
    return model.model_validate(data)  # type: ignore[attr-defined]
