"""Token folders: made aside and renamed in, so that one of that name is always complete. Where a preparation dies, the
next goes on from what it had made durable."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from engine.corpus.background import CHECKED_BY_MANIFEST, TOKENISED_FILE, fault_in, write_background
from engine.corpus.documents import Told, read_documents
from engine.corpus.tokenizer import TOKENIZER_FILES, Tokenizer, load_tokenizer, make_tokenizer, save_tokenizer
from engine.errors import DamageError, DataError, is_no_room
from engine.records.preparation import PROGRESS_FILE, Preparation, folder_of_making, write_preparation
from engine.records.seals import MANIFEST, check_manifest, write_manifest
from engine.records.workspace import is_locked, sync_folder, write_json
from engine.spec.runspec import CorpusSpec

_FIRST_MOMENT_S = 60.0


def write_token_folder(corpus: CorpusSpec, folder: Path) -> None:
    """Build the token folder of a corpus, in place of one that is damaged. DataError where it cannot be written, or
    there is too little text; OSError where there is no room."""
    _drop_leftovers(folder)
    building = folder_of_making(folder)
    try:
        with _locked(building):
            try:
                if folder.exists() and fault_in(folder) is None:  # another preparation was quicker
                    return
                _fill(corpus, building)
                damaged = building.with_name(f"{building.name}.damaged")
                if folder.exists():
                    os.replace(folder, damaged)
                os.replace(building, folder)
                for name in (TOKENISED_FILE, PROGRESS_FILE):
                    (folder / name).unlink(missing_ok=True)
                sync_folder(folder.parent)
                shutil.rmtree(damaged, ignore_errors=True)
            finally:
                if not (building / TOKENISED_FILE).exists():  # nothing to go on from
                    shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        if is_no_room(error):
            raise
        raise DataError(f"the token files cannot be written: {error.strerror}.", where=str(folder)) from None


def _fill(corpus: CorpusSpec, building: Path) -> None:
    write_background(corpus, _tokenizer(corpus, building), building, _told(building, "tokens"))
    write_json(building / "corpus.json", corpus.model_dump(mode="json"))
    write_manifest(building, [*TOKENIZER_FILES, *CHECKED_BY_MANIFEST, "corpus.json"])
    for file in building.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    sync_folder(building)


def _tokenizer(corpus: CorpusSpec, building: Path) -> Tokenizer:
    """The one that an attempt before made, of which a large text may take long, or a new one."""
    if (building / MANIFEST).exists() and _is_whole(building):
        return load_tokenizer(building)
    tokenizer = make_tokenizer(corpus, read_documents(corpus, _told(building, "tokenizer")))
    save_tokenizer(tokenizer, building)
    (building / TOKENISED_FILE).unlink(missing_ok=True)  # of tokens of another
    write_manifest(building, [*TOKENIZER_FILES])
    return tokenizer


def _told(building: Path, making: Literal["tokenizer", "tokens"]) -> Told:
    return lambda share: write_preparation(building, Preparation(making=making, share=share))


@contextmanager
def _locked(building: Path) -> Iterator[None]:
    """The folder that is being built, by one process at a time; another one's end is waited for."""
    while True:
        building.mkdir(exist_ok=True)
        descriptor = os.open(building, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if building.exists() and os.stat(building).st_ino == os.fstat(descriptor).st_ino:
                yield
                return
        finally:
            os.close(descriptor)


def _is_whole(folder: Path) -> bool:
    try:
        check_manifest(folder)
    except DamageError:
        return False
    return True


def _drop_leftovers(folder: Path) -> None:
    """Remove what preparations of this folder that were killed have left, but for what the next goes on from. One that
    goes on holds a lock on its own, but not yet in its first moment."""
    for leftover in folder.parent.glob(f".{folder.name}.*"):
        if leftover == folder_of_making(folder):
            continue
        if time.time() - leftover.stat().st_mtime > _FIRST_MOMENT_S and not is_locked(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
