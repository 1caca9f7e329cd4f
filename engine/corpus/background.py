"""Background text in tokens: tokenised once into a memory-mapped file."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import numpy as np

from engine.corpus.documents import Told, read_documents
from engine.corpus.tokenizer import Tokenizer
from engine.errors import DamageError, DataError
from engine.records.seals import check_manifest
from engine.records.workspace import write_json
from engine.spec.runspec import CorpusSpec

_TOKENS_FILE, _DIGESTS_FILE, _ABOUT_FILE = "background.bin", "background.digests", "background.json"
CHECKED_BY_MANIFEST = (_DIGESTS_FILE, _ABOUT_FILE)
# Rows are read in any order: a block is to be no dearer than a hundredth of the step that reads it.
_BLOCK_BYTES, _DIGEST_BYTES = 2**16, 8
TOKENISED_FILE = "tokenised.json"
_DURABLE_EVERY_S, _MUCH_CHARS = 10.0, 50_000_000


class _About(msgspec.Struct, frozen=True, kw_only=True):
    """`background.json`."""

    num_tokens: int
    heldout_tokens: int
    num_documents: int
    num_skipped: int = 0
    """Rows without a text."""
    unknown_share: float
    dtype: Literal["uint16", "uint32"]


class Tokenised(msgspec.Struct, frozen=True, kw_only=True):
    """How far the tokenising of a text has come: what of it is on the disk."""

    num_documents: int = 0
    num_tokens: int = 0
    num_unknown: int = 0
    num_chars: int = 0


class Background:
    """Token ids of the training part and of the held-out part, both memory-mapped.

    A block of the file is checked against its digest when something in it is first read: of a large text, a run does
    not wait for all of it.
    """

    def __init__(self, path: Path, tokens: np.ndarray, about: _About, digests: bytes) -> None:
        self._path, self._all, self._bytes = path, tokens, tokens.view(np.uint8)
        self.unknown_share, self.num_skipped = about.unknown_share, about.num_skipped
        self._digests, self._is_checked = digests, bytearray(len(digests) // _DIGEST_BYTES)
        self.num_tokens = len(tokens) - about.heldout_tokens
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


def write_background(spec: CorpusSpec, tokenizer: Tokenizer, folder: Path, told: Told | None = None) -> None:
    """Tokenise the background into `folder`, each document after one BOS token. DataError if there is too little.

    What is done is made durable every so often: where an earlier attempt was killed, this one goes on from there.
    """
    token_type = np.dtype(np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32)
    limit, documents = spec.background.max_tokens, read_documents(spec, told)
    done = _done_in(folder, token_type.itemsize)
    with (folder / _TOKENS_FILE).open("r+b" if done.num_documents else "wb") as handle:
        handle.truncate(done.num_tokens * token_type.itemsize)
        handle.seek(0, os.SEEK_END)
        durable_s = time.monotonic()
        for batch in _batches(islice(documents, done.num_documents, None)):
            if limit and done.num_tokens >= limit:
                break
            num_tokens, num_unknown = done.num_tokens, done.num_unknown
            for ids in tokenizer.encode_many(batch):
                row = np.array([tokenizer.bos_id, *ids], dtype=token_type)[: limit - num_tokens if limit else None]
                handle.write(row.tobytes())
                num_tokens += len(row)
                if tokenizer.unknown_id is not None:
                    num_unknown += int((row[1:] == tokenizer.unknown_id).sum())
            num_chars = done.num_chars + sum(map(len, batch))
            num_documents = done.num_documents + len(batch)
            done = Tokenised(
                num_documents=num_documents, num_tokens=num_tokens, num_unknown=num_unknown, num_chars=num_chars
            )
            if time.monotonic() - durable_s > _DURABLE_EVERY_S:
                _make_durable(handle, done, folder)
                durable_s = time.monotonic()
        if done.num_chars > _MUCH_CHARS:
            _make_durable(handle, done, folder)
    check_heldout(done.num_tokens, spec.background.heldout_tokens)
    about = _About(
        num_tokens=done.num_tokens,
        heldout_tokens=spec.background.heldout_tokens,
        num_documents=done.num_documents,
        num_skipped=documents.num_skipped,
        unknown_share=done.num_unknown / done.num_tokens,
        dtype="uint16" if token_type == np.uint16 else "uint32",
    )
    with (folder / _TOKENS_FILE).open("rb") as tokens, (folder / _DIGESTS_FILE).open("wb") as digests:
        while block := tokens.read(_BLOCK_BYTES):
            digests.write(_digest(block))
    write_json(folder / _ABOUT_FILE, msgspec.to_builtins(about))


def check_heldout(num_tokens: int, heldout_tokens: int) -> None:
    """DataError where nothing is left to train on."""
    if num_tokens <= heldout_tokens:
        raise DataError(
            f"the background has only {num_tokens:,} tokens, of which {heldout_tokens:,} are held out.",
            key="background",
            mend="Give more text, or lower background.heldout_tokens.",
        )


def _make_durable(handle: BinaryIO, done: Tokenised, folder: Path) -> None:
    handle.flush()
    os.fsync(handle.fileno())
    write_json(folder / TOKENISED_FILE, msgspec.to_builtins(done))


def _done_in(folder: Path, item_bytes: int) -> Tokenised:
    """What an attempt before has made durable."""
    try:
        done = msgspec.json.decode((folder / TOKENISED_FILE).read_bytes(), type=Tokenised)
        size = (folder / _TOKENS_FILE).stat().st_size
    except (OSError, msgspec.MsgspecError):
        return Tokenised()
    return done if size >= item_bytes * done.num_tokens else Tokenised()


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
    return Background(path, tokens, about, digests.read_bytes() if digests.exists() else b"")


def fault_in(folder: Path, *, with_text: bool = True) -> DamageError | None:
    """What is wrong with these token files, if they are there; a large text is not read for a plan's sake."""
    if not folder.exists():
        return None
    try:
        check_manifest(folder)
        background = open_background(folder)
        if with_text:
            background.check()
    except DamageError as error:
        return error
    return None


def _digest(block: bytes | memoryview) -> bytes:
    """64 bits of SHA-256: enough against accidents, and small beside the block."""
    return hashlib.sha256(block).digest()[:_DIGEST_BYTES]


def _batches(documents: Iterable[str], size: int = 256) -> Iterator[list[str]]:
    batch: list[str] = []
    for document in documents:
        batch.append(document)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
