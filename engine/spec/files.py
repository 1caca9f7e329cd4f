"""Files that people give. Each is opened only if it is a regular file, read only up to a size, and named where it is
not what was expected: a pipe would be waited for, a device has no end, a sparse file fills the memory."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import tomllib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from engine.errors import DataError, SpecError
from engine.spec.numbers import parse_count

MAX_BYTES_VARIABLE = "KITUI_MAX_FILE_BYTES"
"""The environment variable that lets larger files through."""
TABLE_BYTES, TOML_BYTES, LINE_BYTES = 2**28, 2**22, 2**20
"""The largest table, the largest TOML file and the longest line of a table that are read."""
PACKED = (".gz", ".zst")
"""Endings of the names of packed files."""
_MOST_KEY_PARTS = 64
_STRING_OR_COMMENT = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'|#[^\n]*')


def check_file(path: Path, key: str = "", *, most_bytes: int | None = None) -> None:
    """DataError unless it is a regular file that can be opened, of at most so many bytes. Never waits."""
    os.close(_opened(path, key, most_bytes))


def kind_of(path: Path) -> str:
    """The ending of a file's name in small letters, without that of a packed file: `.jsonl` of `Facts.JSONL.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def open_file(path: Path, key: str = "", *, most_bytes: int | None = None) -> BinaryIO:
    """The file to be read from its beginning, unpacked on the way where its name says that it is packed. DataError
    unless it is a regular file that can be opened, of at most so many bytes."""
    descriptor = _opened(path, key, most_bytes)
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return cast(BinaryIO, gzip.open(os.fdopen(descriptor, "rb")))
    if suffix == ".zst":
        import pyarrow as pa  # slow to import

        raw = pa.PythonFile(os.fdopen(descriptor, "rb"), mode="r")
        return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(raw, "zstd"), 2**16))
    return os.fdopen(descriptor, "rb")


UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading raises of a file that is damaged: packed ones end too early, or hold no packed bytes."""


def unreadable(error: BaseException, path: Path, key: str) -> DataError:
    """The fault of a file that raised one of `UNREADABLE`, in words."""
    said = getattr(error, "strerror", None) or f"{error}".rstrip(".") or type(error).__name__
    return DataError(f"cannot be read: {said}.", where=str(path), key=key)


def files_of(sweep_path: Path, patterns: Sequence[str], key: str) -> list[Path]:
    """The files that a setting names, one by one or by patterns, each once. SpecError where there are none of a name;
    paths are relative to the sweep file's folder."""
    files: list[Path] = []
    for pattern in patterns:
        if folder_of(sweep_path, pattern) is not None:
            mend = "Name the files in it, or give a pattern: folder/*.jsonl."
            raise SpecError(
                "this is a folder; expected files.", where=str(sweep_path), key=key, value=pattern, mend=mend
            )
        try:
            found = _found(sweep_path.parent, pattern)
        except (OSError, ValueError, RuntimeError, LookupError, AttributeError):  # pathlib raises all of these
            found = []
        if not found:
            raise SpecError(
                "there is no such file.",
                where=str(sweep_path),
                key=key,
                value=pattern,
                mend="Paths are relative to the sweep file's folder.",
            )
        files.extend(p.resolve() for p in found)
    return list(dict.fromkeys(files))


def _found(base: Path, pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    root, relative = (Path(path.anchor), str(path.relative_to(path.anchor))) if path.is_absolute() else (base, pattern)
    exact = root / relative
    return [exact] if _exists(exact) else sorted(p for p in root.glob(relative) if p.is_file())


def folder_of(sweep_path: Path, name: str) -> Path | None:
    """The folder of that name, relative to the sweep file's; None where there is none."""
    try:
        folder = sweep_path.parent / Path(name).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL in it, a user that there is not
        return None


def _exists(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):  # too long, or a NUL in it
        return False


def read_bytes(path: Path, key: str = "", *, most_bytes: int = TABLE_BYTES) -> bytes:
    """The whole file, unpacked. DataError where it is missing, not a regular file, too large or not readable; `key` is
    the setting that named it."""
    with open_file(path, key, most_bytes=most_bytes) as handle:
        try:
            content = handle.read(allowed_bytes(most_bytes) + 1)
        except UNREADABLE as error:
            raise unreadable(error, path, key) from None
    if len(content) > allowed_bytes(most_bytes):  # it has grown, or is one of those of which nobody knows the size
        raise too_large(path, key, len(content), most_bytes)
    return content


def read_text(path: Path, key: str = "", *, most_bytes: int = TABLE_BYTES) -> str:
    """A UTF-8 text file, whole. DataError as `read_bytes`, or where it is not UTF-8."""
    raw = read_bytes(path, key, most_bytes=most_bytes)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"byte {error.start} is not UTF-8.",
            where=f"{path}, line {line}",
            key=key,
            value=raw[error.start : error.start + 4],
            mend="Save the file as UTF-8.",
        ) from None


def read_toml(path: Path, key: str = "") -> dict[str, Any]:
    """The tables of a TOML file. DataError as `read_text`, or where it is no TOML or is nested too deeply."""
    return parse_toml(read_text(path, key, most_bytes=TOML_BYTES), str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML text. DataError where it is none, or is nested too deeply to be read."""
    bare = _STRING_OR_COMMENT.sub("s", text)
    if any(part.count(".") > _MOST_KEY_PARTS for part in re.split(r"[=\n,{}]", bare)):
        # The standard parser takes quadratic time over them.
        raise DataError(f"a key of more than {_MOST_KEY_PARTS} parts.", where=where)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise DataError(f"not valid TOML: {error}.", where=where) from None
    except RecursionError:
        raise DataError("lists or tables are nested too deeply to be read.", where=where) from None


def as_spec_error(error: DataError, mend: str = "") -> SpecError:
    """The same fault, of a file that is a sweep, a list of hosts or a configuration."""
    found = SpecError(error.what, where=error.where, key=error.key, mend=error.mend or mend)
    found.value = error.value
    found.args = (found.message,)
    return found


def _opened(path: Path, key: str, most_bytes: int | None) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
    except FileNotFoundError:
        mend = "Paths are relative to the sweep file's folder." if "." in key else ""
        raise DataError("there is no such file.", where=str(path), key=key, mend=mend) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}.", where=str(path), key=key) from None
    except ValueError:  # a NUL in it
        raise DataError("not a path.", key=key or "path", value=str(path)) from None
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a pipe, a socket or a device"
        raise DataError(f"this is {kind}; expected a file.", where=str(path), key=key)
    if most_bytes is not None and about.st_size > allowed_bytes(most_bytes):
        os.close(descriptor)
        raise too_large(path, key, about.st_size, most_bytes)
    return descriptor


def allowed_bytes(most_bytes: int) -> int:
    """So many, or what the environment allows, if that is more."""
    given = os.environ.get(MAX_BYTES_VARIABLE)
    if not given:
        return most_bytes
    try:
        return max(most_bytes, parse_count(given))
    except ValueError as error:
        raise SpecError(f"{error}.", key=MAX_BYTES_VARIABLE, value=given, mend="Such as 2G.") from None


def too_large(path: Path, key: str, num_bytes: int, most_bytes: int) -> DataError:
    """The fault of a file of `num_bytes`, in words."""
    return DataError(
        f"{num_bytes:,} bytes; at most {allowed_bytes(most_bytes):,} are read.",
        where=str(path),
        key=key,
        mend=f"If it is meant, allow more: {MAX_BYTES_VARIABLE}={-(-num_bytes // 10**6)}M.",
    )
