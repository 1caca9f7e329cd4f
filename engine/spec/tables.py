"""Rows from a JSONL, CSV, TSV or Parquet file, each with the number of the line it stands on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from engine.errors import DataError
from engine.spec.files import (
    LINE_BYTES,
    MAX_BYTES_VARIABLE,
    TABLE_BYTES,
    allowed_bytes,
    check_file,
    read_text,
    too_large,
)

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


def _json_lines(path: Path, text: str) -> Rows:
    most = allowed_bytes(LINE_BYTES)
    for line, raw in enumerate(text.split("\n"), start=1):
        if len(raw) > most:
            mend = f"If it is meant, allow more: {MAX_BYTES_VARIABLE}=1G."
            raise DataError(f"a line of more than {most:,} characters.", where=f"{path}, line {line}", mend=mend)
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
    try:
        header = list(reader.fieldnames or [])
        _check_columns(f"{path}, line 1", header, required)
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

    check_file(path, key, most_bytes=TABLE_BYTES)
    try:
        about = pq.read_metadata(path)
        num_bytes = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
        if num_bytes > allowed_bytes(TABLE_BYTES):  # so much once it is unpacked
            raise too_large(path, key, num_bytes, TABLE_BYTES)
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
