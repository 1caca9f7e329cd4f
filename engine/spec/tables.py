"""Rows from a JSONL, CSV, TSV or Parquet file, each with the number of the line it stands on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from engine.errors import DataError

Rows = Iterator[tuple[int, dict[str, Any]]]


def read_rows(path: Path, *, key: str, required: Sequence[str]) -> Rows:
    """The table's rows as (line number, values by column). DataError for an unreadable file, a missing column, a
    malformed line; `key` is the setting that named the file."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path, key, required)
    if suffix in (".csv", ".tsv"):
        return _delimited(path, read_text(path, key), "\t" if suffix == ".tsv" else ",", required)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _json_lines(path, read_text(path, key))
    raise DataError(
        "this kind of file is not known.", where=str(path), key=key, mend="Give .jsonl, .csv, .tsv or .parquet."
    )


def read_text(path: Path, key: str) -> str:
    """A UTF-8 text file, whole. DataError says where it is not UTF-8, or that it is missing."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise _missing_file(path, key) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}.", where=str(path), key=key) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start} is not UTF-8.",
            where=_place(path, raw, error.start),
            key=key,
            value=raw[error.start : error.start + 4],
            mend="Save the file as UTF-8.",
        ) from None


def _place(path: Path, raw: bytes, position: int) -> str:
    newlines = raw[:position].count(b"\n")
    return f"{path}, line {newlines + 1}"


def _json_lines(path: Path, text: str) -> Rows:
    for line, raw in enumerate(text.split("\n"), start=1):
        if raw.strip():
            try:
                row = orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                raise DataError(f"not JSON: {error}.", where=f"{path}, line {line}", value=raw) from None
            if not isinstance(row, dict):
                raise DataError("expected a JSON object.", where=f"{path}, line {line}", value=raw)
            yield line, row


def _delimited(path: Path, text: str, delimiter: str, required: Sequence[str]) -> Rows:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = list(reader.fieldnames or [])
    _check_columns(f"{path}, line 1", header, required)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"this line has not the {len(header)} fields of the header.",
                    where=f"{path}, line {reader.line_num}",
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"not a well-formed table: {error}.", where=f"{path}, line {reader.line_num}") from None


def _parquet(path: Path, key: str, required: Sequence[str]) -> Rows:
    import pyarrow as pa  # slow to import, and only this format needs it
    import pyarrow.parquet as pq

    if not path.is_file():
        raise _missing_file(path, key)
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"not a readable Parquet file: {error}.", where=str(path)) from None
    _check_columns(str(path), table.column_names, required)
    yield from enumerate(table.to_pylist(), start=1)


def _check_columns(where: str, columns: Sequence[str], required: Sequence[str]) -> None:
    missing = [c for c in required if c not in columns]
    if missing:
        raise DataError(
            f"the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing here.",
            where=where,
            value=", ".join(columns),
            mend=f"Needed: {', '.join(required)}.",
        )


def _missing_file(path: Path, key: str) -> DataError:
    mend = "Paths are relative to the sweep file's folder." if "." in key else ""
    return DataError("there is no such file.", where=str(path), key=key, mend=mend)
