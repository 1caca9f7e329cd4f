"""Background text: read from files, a hub dataset or Python's own language reference; tokenised once into a
memory-mapped file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import orjson

from engine.corpus.tokenizer import Tokenizer
from engine.errors import DamageError, DataError
from engine.records.workspace import write_json
from engine.spec.files import MAX_BYTES_VARIABLE, allowed_bytes, check_file
from engine.spec.runspec import CorpusSpec

_TOKENS_FILE, _DIGESTS_FILE, _ABOUT_FILE = "background.bin", "background.digests", "background.json"
CHECKED_BY_MANIFEST = (_DIGESTS_FILE, _ABOUT_FILE)
# Rows are read in any order: a block is to be no dearer than a hundredth of the step that reads it.
_BLOCK_BYTES, _DIGEST_BYTES = 2**16, 8
_PIECE_BYTES, _LINE_BYTES = 2**20, 2**26
"""A text file is read in pieces of so much, each a document; a longer line than the other is refused."""


class _About(msgspec.Struct, frozen=True, kw_only=True):
    """`background.json`."""

    num_tokens: int
    heldout_tokens: int
    num_documents: int
    unknown_share: float
    dtype: Literal["uint16", "uint32"]


class Background:
    """Token ids of the training part and of the held-out part, both memory-mapped.

    A block of the file is checked against its digest when something in it is first read: of a large text, a run does
    not wait for all of it.
    """

    def __init__(self, path: Path, tokens: np.ndarray, num_heldout: int, digests: bytes) -> None:
        self._path, self._all, self._bytes = path, tokens, tokens.view(np.uint8)
        self._digests, self._is_checked = digests, bytearray(len(digests) // _DIGEST_BYTES)
        self.num_tokens = len(tokens) - num_heldout
        """Of the training part."""

    @property
    def heldout(self) -> np.ndarray:
        return self.read(self.num_tokens, len(self._all))

    def read(self, start: int, end: int) -> np.ndarray:
        """The tokens [start, end) of the whole text, held-out part included. DamageError where they are not those
        that were written."""
        size = self._all.itemsize
        for block in range(start * size // _BLOCK_BYTES, -(-end * size // _BLOCK_BYTES)):
            if block < len(self._is_checked) and not self._is_checked[block]:
                self._check(block)
        return self._all[start:end]

    def check(self) -> None:
        """DamageError where any of it is not what was written."""
        self.read(0, len(self._all))

    def _check(self, block: int) -> None:
        first, place = block * _BLOCK_BYTES, block * _DIGEST_BYTES
        found = _digest(self._bytes[first : first + _BLOCK_BYTES].data)
        if found != self._digests[place : place + _DIGEST_BYTES]:
            raise DamageError(
                f"it was changed after it was written: the digest of bytes {first:,} and following is another.",
                where=str(self._path),
                mend="It is made anew when its sweep is prepared.",
            )
        self._is_checked[block] = 1


def read_documents(spec: CorpusSpec) -> Iterator[str]:
    """The background's documents, in order. DataError names file and line."""
    settings = spec.background
    if settings.source == "builtin":
        return _language_reference()
    if settings.source == "hub":
        return _hub(spec)
    readers = {".txt": _text_file, ".jsonl": _jsonl_file, ".parquet": _parquet_file}
    paths = [Path(p) for p in settings.paths]
    return (text for path in paths for text in readers[path.suffix](path, settings.text_field))


def write_background(spec: CorpusSpec, tokenizer: Tokenizer, folder: Path) -> None:
    """Tokenise the background into `folder`, each document after one BOS token. DataError if there is too little."""
    token_type = np.dtype(np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32)
    limit = spec.background.max_tokens
    num_tokens = num_documents = num_unknown = 0
    unknown_id = tokenizer.backend.token_to_id("<unk>")
    with (folder / _TOKENS_FILE).open("wb") as handle:
        for batch in _batches(read_documents(spec)):
            for ids in tokenizer.encode_many(batch):
                row = np.array([tokenizer.bos_id, *ids], dtype=token_type)[: limit - num_tokens if limit else None]
                handle.write(row.tobytes())
                num_tokens += len(row)
                num_documents += 1
                num_unknown += int((row == unknown_id).sum()) if unknown_id is not None else 0
            if limit and num_tokens >= limit:
                break
    if num_tokens <= spec.background.heldout_tokens:
        raise DataError(
            f"the background has only {num_tokens:,} tokens, of which {spec.background.heldout_tokens:,} are held out.",
            key="background",
            mend="Give more text, or lower background.heldout_tokens.",
        )
    about = _About(
        num_tokens=num_tokens,
        heldout_tokens=spec.background.heldout_tokens,
        num_documents=num_documents,
        unknown_share=num_unknown / num_tokens,
        dtype="uint16" if token_type == np.uint16 else "uint32",
    )
    with (folder / _TOKENS_FILE).open("rb") as tokens, (folder / _DIGESTS_FILE).open("wb") as digests:
        while block := tokens.read(_BLOCK_BYTES):
            digests.write(_digest(block))
    write_json(folder / _ABOUT_FILE, msgspec.to_builtins(about))


def open_background(folder: Path) -> Background:
    """The tokens of a prepared text, mapped and not read. DamageError where the folder is not whole."""
    path, about_path = folder / _TOKENS_FILE, folder / _ABOUT_FILE
    try:
        about = msgspec.json.decode(about_path.read_bytes(), type=_About)
        # Slicing a memmap itself is slow.
        tokens: np.ndarray = np.asarray(np.memmap(path, dtype=np.dtype(about.dtype), mode="r"))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamageError(f"it cannot be read: {error}.", where=str(about_path)) from None
    except (OSError, ValueError) as error:  # the latter of an empty file
        words = error.strerror if isinstance(error, OSError) else error
        raise DamageError(f"these token files cannot be read: {words}.", where=str(folder)) from None
    if len(tokens) != about.num_tokens or not 0 <= about.heldout_tokens < about.num_tokens:
        written = f"{about.num_tokens:,}, {about.heldout_tokens:,} of them held out"
        raise DamageError(f"it holds {len(tokens):,} tokens; written were {written}.", where=str(path))
    digests = folder / _DIGESTS_FILE  # prepared before there were any, it has none
    return Background(path, tokens, about.heldout_tokens, digests.read_bytes() if digests.exists() else b"")


def _digest(block: bytes | memoryview) -> bytes:
    """64 bits of SHA-256: enough against accidents, and small beside the block."""
    return hashlib.sha256(block).digest()[:_DIGEST_BYTES]


def _batches(documents: Iterator[str], size: int = 256) -> Iterator[list[str]]:
    batch: list[str] = []
    for document in documents:
        batch.append(document)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


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


def _text_file(path: Path, _: str) -> Iterator[str]:
    """A text file is one document, read in pieces of many lines so that its size does not matter."""
    piece, num_bytes = [], 0
    for line in _lines(path):
        piece.append(line)
        num_bytes += len(line)
        if num_bytes > _PIECE_BYTES:
            yield b"".join(piece).decode()
            piece, num_bytes = [], 0
    if piece:
        yield b"".join(piece).decode()


def _jsonl_file(path: Path, text_field: str) -> Iterator[str]:
    for line_number, line in enumerate(_lines(path), start=1):
        if line.strip():
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise DataError(f"not JSON: {error}.", where=f"{path}, line {line_number}") from None
            yield _text_of(row, text_field, f"{path}, line {line_number}")


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, each with its end, all of them UTF-8."""
    check_file(path, "background.path")
    most = allowed_bytes(_LINE_BYTES)
    with path.open("rb") as handle:
        line_number = 0
        while line := handle.readline(most + 1):
            line_number += 1
            if len(line) > most:
                raise DataError(
                    f"a line of more than {most:,} bytes.",
                    where=f"{path}, line {line_number}",
                    key="background.path",
                    mend=f"Break the text into lines, or allow more: {MAX_BYTES_VARIABLE}=1G.",
                )
            _decoded(path, line_number, line)
            yield line


def _parquet_file(path: Path, text_field: str) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_file(path, "background.path")
    try:
        table = pq.ParquetFile(path)
        if text_field not in table.schema_arrow.names:
            raise _no_text(str(path), text_field, table.schema_arrow.names)
        row_number = 0
        for batch in table.iter_batches(columns=[text_field]):
            for text in batch.column(0).to_pylist():
                row_number += 1
                yield _text_of({text_field: text}, text_field, f"{path}, row {row_number}")
    except pa.ArrowException as error:
        raise DataError(f"not a readable Parquet file: {error}.", where=str(path)) from None


def _hub(spec: CorpusSpec) -> Iterator[str]:
    """A dataset by its hub name, or a folder that `datasets` can load, streamed."""
    import datasets  # three seconds to import

    settings = spec.background
    try:
        stream = datasets.load_dataset(
            str(settings.dataset), settings.config, split=settings.split, revision=settings.revision, streaming=True
        )
        for index, row in enumerate(stream):
            yield _text_of(row, settings.text_field, f"{settings.dataset}, row {index}")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"the dataset cannot be read: {first_line}",
            key="background.dataset",
            value=settings.dataset,
            mend="Check name, config, split and the network.",
        ) from None


def _text_of(row: Any, text_field: str, where: str) -> str:
    if not isinstance(row, dict) or not isinstance(row.get(text_field), str):
        raise _no_text(where, text_field, list(row) if isinstance(row, dict) else [])
    return str(row[text_field])


def _no_text(where: str, text_field: str, known: list[str]) -> DataError:
    return DataError(
        "there is no text in this field.",
        where=where,
        key="background.text_field",
        value=text_field,
        mend=f"Fields here: {', '.join(map(str, known)) or 'none'}.",
    )


def _decoded(path: Path, line_number: int, line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start} of this line is not UTF-8.",
            where=f"{path}, line {line_number}",
            key="background.path",
            mend="Save the file as UTF-8.",
        ) from None
