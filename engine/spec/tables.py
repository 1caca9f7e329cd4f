"""Rows from a JSON, JSONL, CSV, TSV or Parquet file, packed or not, each with the number of the line it stands on."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from engine.errors import DataError, SpecError, nearest, together
from engine.spec.files import (
    LINE_BYTES,
    MAX_BYTES_VARIABLE,
    TABLE_BYTES,
    allowed_bytes,
    kind_of,
    read_bytes,
    read_text,
    too_large,
)
from engine.spec.numbers import parse_number

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")

DELIMITED, JSON_LINES = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson")
TABLES = ".jsonl, .json, .csv, .tsv or .parquet, packed (.gz, .zst) or not"
"""The kinds of table, in words."""
_NO_TEXTS: Mapping[str, Collection[str]] = {}
Rows = Iterator[tuple[int, dict[str, Any]]]


def read_rows(
    path: Path, *, key: str, required: Sequence[str] = (), has_header: bool = True, by_key: bool = False
) -> Rows:
    """The table's rows as (number, values by column); `place` puts the number into words. DataError for an unreadable
    file, a missing column, a malformed line; `key` is the setting that named the file. Without a header the columns are
    called by their place: "1", "2", …; `by_key`: a JSON object of texts is a table of the columns `key` and `value`."""
    kind = kind_of(path)
    if kind == ".parquet":
        return _parquet(path, key, required)
    if kind in DELIMITED:
        text = read_text(path, key)
        delimiter = _delimiter(text) if kind == ".csv" else "\t"
        return _delimited(path, text, delimiter, required, has_header=has_header)
    if kind == ".json":
        return _json(path, read_text(path, key), by_key=by_key)
    if kind in JSON_LINES:
        return _json_lines(path, read_text(path, key))
    raise DataError("this kind of file is not known.", where=str(path), key=key, mend=f"Give {TABLES}.")


def columns_of(path: Path, *, key: str) -> list[str]:
    """The columns of the table's first row, or of its header; none of an empty one. DataError as for `read_rows`."""
    for _, row in read_rows(path, key=key):
        return list(row)
    return []


def mapped(
    given: Mapping[str, str],
    header: Sequence[str],
    known: Collection[str],
    texts: Mapping[str, Collection[str]] = _NO_TEXTS,
) -> tuple[dict[str, str], dict[str, str]]:
    """Of `--map OURS=THEIRS`: columns of the table, and values that ours have in every row (numbers; of some
    columns the texts that they may have). SpecError where ours is not `known`, or theirs is neither."""
    columns, values = {}, {}
    for ours, theirs in given.items():
        pair = f"{ours}={theirs}"
        if ours not in known:
            raise SpecError("no such column of ours.", key="--map", value=pair, mend=nearest(ours, sorted(known)))
        if theirs in header:
            columns[ours] = theirs
        elif _is_number(theirs) or theirs in texts.get(ours, ()):
            values[ours] = theirs
        else:
            raise SpecError("there is no such column.", key="--map", value=pair, mend=nearest(theirs, list(header)))
    return columns, values


def _is_number(text: str) -> bool:
    try:
        parse_number(text)
    except ValueError:
        return False
    return True


def place(path: Path, number: int) -> str:
    """Where a row stands, in words: lines of text are counted, of other files the rows."""
    return f"{path}, {'row' if kind_of(path) in ('.json', '.parquet') else 'line'} {number}"


def values_at(row: Mapping[str, Any], place: str) -> list[Any]:
    """All that stands at a place in a row: a column's name, or a path of keys with points between them. A list on the
    way is gone through item by item, `objects[decision=new].label` through those whose field says so; a list at the
    end is what stands there."""
    if place in row:
        return [row[place]]
    found: list[Any] = [row]
    for step in place.split("."):
        name, _, condition = step.partition("[")
        found = [item[name] for item in _items(found) if isinstance(item, dict) and name in item]
        if condition:
            field, _, wanted = condition.rstrip("]").partition("=")
            found = [item for item in _items(found) if isinstance(item, dict) and str(item.get(field)) == wanted]
    return found


def _items(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list) else (value,)


def _json(path: Path, text: str, *, by_key: bool) -> Rows:
    """An array of rows; an object of them by key, which is the column `key`; a single row; or rows line by line."""
    try:
        whole = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text.lstrip().startswith("["):
            raise DataError(f"not JSON: {error}.", where=f"{path}, line {error.lineno}") from None
        return _json_lines(path, text)
    if isinstance(whole, dict) and whole and all(isinstance(value, dict) for value in whole.values()):
        whole = [{"key": key, **row} for key, row in whole.items()]
    elif isinstance(whole, dict) and by_key:
        whole = [{"key": key, "value": value} for key, value in whole.items()]
    rows = whole if isinstance(whole, list) else [whole]
    return _checked_items(path, rows)


def _checked_items(path: Path, rows: list[Any]) -> Rows:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise DataError("expected a JSON object.", where=place(path, number), value=row)
        yield number, row


def _json_lines(path: Path, text: str) -> Rows:
    """Faulty lines are told together, after the others."""
    most, faults = allowed_bytes(LINE_BYTES), []
    for line, raw in enumerate(text.split("\n"), start=1):
        where = f"{path}, line {line}"
        if len(raw) > most:
            mend = f"If it is meant, allow more: {MAX_BYTES_VARIABLE}=1G."
            raise DataError(f"a line of more than {most:,} characters.", where=where, mend=mend)
        if raw.strip():
            try:
                row = orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                faults.append(DataError(f"not JSON: {error}.", where=where, value=raw))
                continue
            if isinstance(row, dict):
                yield line, row
            else:
                faults.append(DataError("expected a JSON object.", where=where, value=raw))
    if faults:
        raise together(faults)


def _delimiter(text: str) -> str:
    """A comma, or a semicolon where the header has those alone: so spreadsheets write where commas are decimal."""
    header = text.partition("\n")[0]
    return ";" if ";" in header and "," not in header else ","


def _delimited(path: Path, text: str, delimiter: str, required: Sequence[str], *, has_header: bool) -> Rows:
    """Between tabs, a quote that begins a field ends with it or is a letter like others: many names begin with one."""
    by_tabs = delimiter == "\t"
    quoting: Literal[0, 3] = csv.QUOTE_NONE if by_tabs else csv.QUOTE_MINIMAL
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, quoting=quoting)
    header: list[str] = []
    faults, last_line = [], 0
    try:
        for fields in reader:
            last_line = reader.line_num
            if not fields:
                continue
            if by_tabs:
                fields = [_unquoted(field) for field in fields]
            if not header:
                header = fields if has_header else [str(place) for place in range(1, len(fields) + 1)]
                _check_columns(f"{path}, line {reader.line_num}", header, required)
                if has_header:
                    continue
            if len(fields) == len(header):
                row = dict(zip(header, fields, strict=True))
                yield reader.line_num, _with_points(row) if delimiter == ";" else row
                continue
            wanted = f"the {len(header)} of the {'header' if has_header else 'first line'}"
            what = f"this line has {len(fields)} fields, not {wanted}."
            faults.append(DataError(what, where=f"{path}, line {reader.line_num}"))
        if not header:
            _check_columns(f"{path}, line 1", header, required)
    except csv.Error as error:
        where = f"{path}, after line {last_line}" if "end of data" in str(error) else f"{path}, line {reader.line_num}"
        what = (
            "a quote begins that nothing ends" if "end of data" in str(error) else f"not a well-formed table: {error}"
        )
        faults.append(DataError(f"{what}.", where=where))
    if faults:
        raise together(faults)


def _unquoted(field: str) -> str:
    inner = field[1:-1]
    is_quoted = len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if is_quoted else field


def _with_points(row: dict[str, str]) -> dict[str, str]:
    """Numbers with a decimal comma, written with a point."""
    return {
        column: value.replace(",", ".") if _DECIMAL_COMMA.fullmatch(value.strip()) else value
        for column, value in row.items()
    }


def _parquet(path: Path, key: str, required: Sequence[str]) -> Rows:
    import pyarrow as pa  # slow to import, and only this format needs it
    import pyarrow.parquet as pq

    content = io.BytesIO(read_bytes(path, key))
    try:
        about = pq.read_metadata(content)
        num_bytes = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
        if num_bytes > allowed_bytes(TABLE_BYTES):  # so much once it is unpacked
            raise too_large(path, key, num_bytes, TABLE_BYTES)
        table = pq.read_table(content)
        rows = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(f"not a readable Parquet file: {error}.", where=str(path)) from None
    _check_columns(str(path), table.column_names, required)
    yield from enumerate(rows, start=1)


def _check_columns(where: str, columns: Sequence[str], required: Sequence[str]) -> None:
    missing = [c for c in required if c not in columns]
    if missing:
        raise DataError(
            f"the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing here.",
            where=where,
            value=", ".join(columns),
            mend=f"Needed: {', '.join(required)}.",
        )
