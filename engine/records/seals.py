"""Digests: what a number is made of is believed only where it is what was written.

A JSON document carries the SHA-256 of its own text as its last entry. Other files are named with theirs in a
`manifest.json` beside them, itself such a document. Files of before there were digests have none, and are taken as they
are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.errors import DamageError
from engine.records.workspace import write_atomically

MANIFEST, DIGEST = "manifest.json", "digest"
_SEAL = re.compile(rb',\s*"digest":\s*"([0-9a-f]{64})"\s*\}\s*\Z')
_ANY_SEAL = re.compile(rb'"digest":\s*"[0-9a-f]{64}"')


class _Manifest(msgspec.Struct, frozen=True):
    files: dict[str, str]
    """SHA-256 by name."""


def sealed(document: bytes) -> bytes:
    """A JSON object, not empty, with the digest of its text."""
    body = document.rstrip().removesuffix(b"}").rstrip()
    return body + b',\n  "digest": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def check_seal(document: bytes, where: Path, *, has_one: bool = False) -> None:
    """DamageError where a JSON document is not what its digest was taken of. `has_one`: no version wrote it without."""
    seal = _SEAL.search(document, max(0, len(document) - 200))
    if seal is None:
        if has_one or _ANY_SEAL.search(document):  # cut, added to, or put in another form
            raise DamageError("it was changed after it was written.", where=str(where))
    elif hashlib.sha256(document[: seal.start()]).hexdigest().encode() != seal[1]:
        raise DamageError("it was changed after it was written: its digest is another.", where=str(where))


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Put down the digests of these files in `folder`."""
    manifest = _Manifest({name: file_digest(folder / name) for name in sorted(names)})
    write_atomically(folder / MANIFEST, sealed(msgspec.json.format(msgspec.json.encode(manifest))))


def check_manifest(folder: Path) -> None:
    """DamageError where a file that the manifest of `folder` names is missing, or is not what was written."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    check_seal(content, path, has_one=True)
    try:
        manifest = msgspec.json.decode(content, type=_Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamageError(f"it cannot be read: {error}.", where=str(path)) from None
    for name, digest in manifest.files.items():
        try:
            found = file_digest(folder / name)
        except FileNotFoundError:
            raise DamageError("this file is missing.", where=str(folder / name)) from None
        if found != digest:
            raise DamageError("it was changed after it was written: its digest is another.", where=str(folder / name))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
