"""The background's documents: from files, a hub dataset or Python's own language reference, one after the other; a
corpus may be larger than the memory by any factor."""

from __future__ import annotations

import codecs
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from engine.errors import DataError
from engine.spec.files import (
    MAX_BYTES_VARIABLE,
    PACKED,
    UNREADABLE,
    allowed_bytes,
    check_file,
    kind_of,
    open_file,
    unreadable,
)
from engine.spec.runspec import CorpusSpec
from engine.spec.tables import JSON_LINES, place, read_rows

_KEY = "background.path"
_TOLD_EVERY_S = 1.0
_PIECE_BYTES, _LINE_BYTES = 2**20, 2**26
"""A text file is read in pieces of so much, each a document; a longer line than the other is refused."""


Told = Callable[[float | None], None]
"""Is told, every second, which share of the text has been read, by the bytes of its files; None of other sources."""


class Documents:
    """The texts in order, to be gone through once. Rows without a text (null) are passed over. DataError names file
    and line."""

    def __init__(self, spec: CorpusSpec, told: Told | None = None) -> None:
        self._spec, self._told = spec, told
        self.num_skipped = 0
        """Rows passed over so far."""

    def __iter__(self) -> Iterator[str]:
        next_s = time.monotonic()
        for text, share in _texts(self._spec):
            if self._told is not None and time.monotonic() >= next_s:
                self._told(share() if share is not None else None)
                next_s = time.monotonic() + _TOLD_EVERY_S
            if text is None:
                self.num_skipped += 1
            else:
                yield text


def read_documents(spec: CorpusSpec, told: Told | None = None) -> Documents:
    """The background's documents. What is wrong with them is raised where it stands."""
    return Documents(spec, told)


class _Reading:
    """How much of some files has been read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        for path in paths:
            check_file(path, _KEY)
        self._sizes = [path.stat().st_size for path in paths]
        self.num_read = 0
        """Files that have been read."""
        self.descriptor: int | None = None
        """Of the one that is being read, packed or not."""

    def share(self) -> float:
        num_bytes = sum(self._sizes[: self.num_read])
        if self.descriptor is not None:
            num_bytes += os.lseek(self.descriptor, 0, os.SEEK_CUR)
        return num_bytes / max(1, sum(self._sizes))


def _texts(spec: CorpusSpec) -> Iterator[tuple[str | None, Callable[[], float] | None]]:
    """Each text, and what says how much has been read by then."""
    settings = spec.background
    if settings.source == "builtin":
        yield from ((text, None) for text in _language_reference())
    elif settings.source == "hub":
        yield from ((text, None) for text in _hub(spec))
    paths = [Path(path) for path in settings.paths] if settings.source == "files" else []
    reading = _Reading(paths)
    for number, path in enumerate(paths, start=1):
        yield from ((text, reading.share) for text in _texts_of_file(path, settings.text_field, reading))
        reading.num_read = number


def _texts_of_file(path: Path, text_field: str, reading: _Reading) -> Iterator[str | None]:
    kind = kind_of(path)
    if kind in JSON_LINES:
        yield from _jsonl_file(path, text_field, reading)
    elif kind == ".parquet":
        yield from _parquet_file(path, text_field)
    elif kind in (".json", ".csv", ".tsv"):
        for number, row in read_rows(path, key=_KEY):
            yield _text_of(row, text_field, place(path, number))
    else:
        yield from _text_file(path, reading)


_HEADING_OR_GRAMMAR = re.compile(r"^\s*[*=~^-]{3,}\s*$|::=|>>>", re.MULTILINE)


def _language_reference() -> Iterator[str]:
    """The prose of `pydoc_data.topics`, a document a topic: its blocks of at least eight words of which three quarters
    are plain words, which leaves out headings, grammar, tables and code."""
    from pydoc_data.topics import topics

    for name in sorted(topics):
        paragraphs = []
        for block in re.split(r"\n\s*\n", topics[name]):
            words = block.replace('"', " ").replace("*", " ").split()
            num_plain = sum(word.strip(".,:;()’'!?").isalpha() for word in words)
            if len(words) >= 8 and num_plain >= 0.75 * len(words) and not _HEADING_OR_GRAMMAR.search(block):
                paragraphs.append(" ".join(words))
        if paragraphs:
            yield "\n".join(paragraphs) + "\n"


def _text_file(path: Path, reading: _Reading) -> Iterator[str]:
    """A text file is one document, read in pieces of many lines so that its size does not matter."""
    piece, num_bytes = [], 0
    for line in _lines(path, reading):
        piece.append(line)
        num_bytes += len(line)
        if num_bytes > _PIECE_BYTES:
            yield b"".join(piece).decode()
            piece, num_bytes = [], 0
    if piece:
        yield b"".join(piece).decode()


def _jsonl_file(path: Path, text_field: str, reading: _Reading) -> Iterator[str | None]:
    for line_number, line in enumerate(_lines(path, reading), start=1):
        if line.strip():
            where = f"{path}, line {line_number}"
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise DataError(f"not JSON: {error}.", where=where) from None
            yield _text_of(row, text_field, where)


def _lines(path: Path, reading: _Reading) -> Iterator[bytes]:
    """The lines of a file, each with its end, all of them UTF-8, without the mark that some editors begin with."""
    most = allowed_bytes(_LINE_BYTES)
    with open_file(path, _KEY) as handle:
        line_number = 0
        if path.suffix.lower() != ".zst":
            reading.descriptor = handle.fileno()
        try:
            while line := handle.readline(most + 1):
                line_number += 1
                if len(line) > most:
                    raise DataError(
                        f"a line of more than {most:,} bytes.",
                        where=f"{path}, line {line_number}",
                        key=_KEY,
                        mend=f"Break the text into lines, or allow more: {MAX_BYTES_VARIABLE}=1G.",
                    )
                if line_number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                _check_utf8(path, line_number, line)
                yield line
        except UNREADABLE as error:
            raise unreadable(error, path, _KEY) from None
        finally:
            reading.num_read, reading.descriptor = reading.num_read + 1, None


def _check_utf8(path: Path, line_number: int, line: bytes) -> None:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start} of this line is not UTF-8.",
            where=f"{path}, line {line_number}",
            key=_KEY,
            mend="Save the file as UTF-8.",
        ) from None


def _parquet_file(path: Path, text_field: str) -> Iterator[str | None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix.lower() in PACKED:
        raise DataError("a packed Parquet file.", where=str(path), key=_KEY, mend="Unpack it: Parquet packs by itself.")
    check_file(path, _KEY)
    try:
        table = pq.ParquetFile(path)
        if text_field not in table.schema_arrow.names:
            raise _no_text(str(path), text_field, table.schema_arrow.names)
        number = 0
        for batch in table.iter_batches(columns=[text_field]):
            for text in batch.column(0).to_pylist():
                number += 1
                yield _text_of({text_field: text}, text_field, f"{path}, row {number}")
    except pa.ArrowException as error:
        raise DataError(f"not a readable Parquet file: {error}.", where=str(path)) from None


def _hub(spec: CorpusSpec) -> Iterator[str | None]:
    """A dataset by its hub name, or a folder that `datasets` can load, streamed."""
    import datasets  # three seconds to import

    settings = spec.background
    try:
        stream = datasets.load_dataset(
            str(settings.dataset), settings.config, split=settings.split, revision=settings.revision, streaming=True
        )
        for number, row in enumerate(stream, start=1):
            yield _text_of(row, settings.text_field, f"{settings.dataset}, row {number}")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"the dataset cannot be read: {first_line}",
            key="background.dataset",
            value=settings.dataset,
            mend="Check name, config, split and the network.",
        ) from None


def _text_of(row: Any, text_field: str, where: str) -> str | None:
    """The text of a row; None where it is null."""
    if not isinstance(row, dict) or text_field not in row:
        raise _no_text(where, text_field, list(row) if isinstance(row, dict) else [])
    text = row[text_field]
    if text is not None and not isinstance(text, str):
        raise _no_text(where, text_field, list(row))
    return text


def _no_text(where: str, text_field: str, known: list[str]) -> DataError:
    return DataError(
        "there is no text in this field.",
        where=where,
        key="background.text_field",
        value=text_field,
        mend=f"Fields here: {', '.join(map(str, known)) or 'none'}.",
    )
