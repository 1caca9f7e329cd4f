"""What all records are: immutable structs that read JSON strictly, fields unknown to them left out.

msgspec, not pydantic: a viewer reads ten thousand of them at its start, and loading pydantic takes longer than that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.errors import StateError

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


def read_record(model: type[_T], path: Path) -> _T | None:
    """The record in a file that is replaced atomically, or None where there is none yet. StateError names the fault."""
    try:
        return decoded(model, path.read_bytes())
    except FileNotFoundError:
        return None
    except msgspec.ValidationError as error:
        raise StateError(f"written by another version of kitui? {error}.", where=str(path)) from None
    except (msgspec.MsgspecError, OSError, UnicodeDecodeError) as error:
        raise StateError(f"cannot be read: {error}.", where=str(path)) from None


# Settings from sweep files are pydantic models; some records carry them along.


def _dump_section(section: Any) -> Any:
    return section.model_dump(mode="json")


def _validate_section(model: type, data: Any) -> Any:
    return model.model_validate(data)  # type: ignore[attr-defined]
