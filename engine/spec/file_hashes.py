"""SHA-256 of files. Those of large ones are kept in the user's cache folder, by all that changes when a file does: a
corpus of hundreds of gigabytes is read once, and not whenever its sweep is planned."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
from platformdirs import user_cache_path

from engine.spec.files import check_file

_LARGE_BYTES = 2**26


class _Known(msgspec.Struct, frozen=True):
    """Of a file as it was when it was read."""

    path: str
    inode: int
    num_bytes: int
    mtime_ns: int
    ctime_ns: int
    """Of its last change of any kind: it cannot be set, as the time of its content can."""
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]


def hashes_of(files: Sequence[Path]) -> list[bytes]:
    """Each file's SHA-256; several are read at once. SpecError or DataError for what is no file that can be read."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # hashing holds up no other thread
        return list(threads.map(_hash_of, files))


def _hash_of(file: Path) -> bytes:
    check_file(file)
    is_large = file.stat().st_size >= _LARGE_BYTES
    path = user_cache_path("kitui") / "hashes" / f"{hashlib.sha256(os.fsencode(file.resolve())).hexdigest()[:32]}.json"
    before = _as_it_is(file)
    if is_large:
        with suppress(OSError, ValueError):  # there is none yet, or no use in it
            known = msgspec.json.decode(path.read_bytes(), type=_Known)
            if known.sha256 and msgspec.structs.replace(known, sha256="") == before:
                return bytes.fromhex(known.sha256)
    with file.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").digest()
    if is_large and _as_it_is(file) == before:  # not written to meanwhile
        with suppress(OSError):  # without a cache, it is read again
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_bytes(msgspec.json.encode(msgspec.structs.replace(before, sha256=found.hex())))
            os.replace(temporary, path)
    return found


def _as_it_is(file: Path) -> _Known:
    """Without its hash."""
    status = file.stat()
    return _Known(str(file.resolve()), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, "")
