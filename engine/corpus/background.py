"""Background text: read from files, a hub dataset or Python's own language reference; tokenised once into a
memory-mapped file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from engine.corpus.tokenizer import Tokenizer
from engine.errors import DataError
from engine.records.workspace import read_json, write_json
from engine.spec.runspec import CorpusSpec

_TOKENS_FILE, _ABOUT_FILE = "background.bin", "background.json"


class Background(NamedTuple):
    """Token ids of the training part and of the held-out part, both memory-mapped."""

    tokens: np.ndarray
    heldout: np.ndarray


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
    about = {
        "num_tokens": num_tokens,
        "heldout_tokens": spec.background.heldout_tokens,
        "num_documents": num_documents,
        "unknown_share": num_unknown / num_tokens,
        "dtype": token_type.name,
    }
    write_json(folder / _ABOUT_FILE, about)


def open_background(folder: Path) -> Background:
    """The tokens of a prepared text, mapped and not read. DataError where the folder is not whole."""
    about = read_json(folder / _ABOUT_FILE)
    if about is None:
        raise DataError(
            "these token files are not complete.", where=str(folder), mend="Delete the folder and launch again."
        )
    tokens = np.memmap(folder / _TOKENS_FILE, dtype=about["dtype"], mode="r", shape=(about["num_tokens"],))
    num_train = about["num_tokens"] - about["heldout_tokens"]
    return Background(tokens[:num_train], tokens[num_train:])


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
    with path.open("rb") as handle:
        line_number = 0
        while lines := handle.readlines(2**20):
            for line in lines:
                line_number += 1
                _decoded(path, line_number, line)
            yield b"".join(lines).decode()


def _jsonl_file(path: Path, text_field: str) -> Iterator[str]:
    with path.open("rb") as handle:
        for line_number, line in enumerate(handle, start=1):
            if line.strip():
                try:
                    row = orjson.loads(_decoded(path, line_number, line))
                except orjson.JSONDecodeError as error:
                    raise DataError(f"not JSON: {error}.", where=f"{path}, line {line_number}") from None
                yield _text_of(row, text_field, f"{path}, line {line_number}")


def _parquet_file(path: Path, text_field: str) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

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
