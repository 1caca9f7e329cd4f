"""Files that a number is made of are believed only as they were written."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DamageError
from engine.records.seals import check_manifest, check_seal, sealed, write_manifest

DOCUMENT = msgspec.json.encode({"values": [1, 2.5, None, "ü"], "digest_of": "nothing", "nested": {"a": {}}})
SOMEWHERE = Path("somewhere.json")


def test_a_sealed_document_is_json_with_one_entry_more() -> None:
    content = sealed(DOCUMENT)
    check_seal(content, SOMEWHERE)
    assert {k: v for k, v in msgspec.json.decode(content).items() if k != "digest"} == msgspec.json.decode(DOCUMENT)
    assert sealed(msgspec.json.format(DOCUMENT)) != content
    check_seal(sealed(msgspec.json.format(DOCUMENT)), SOMEWHERE)
    check_seal(DOCUMENT, SOMEWHERE)  # of before there were digests


@given(st.integers(0, 8 * len(sealed(DOCUMENT)) - 1))
def test_every_flipped_bit_is_found(bit: int) -> None:
    """Found by the digest, or, where it is the digest's own name that was hit, as JSON that is another or none."""
    content = bytearray(sealed(DOCUMENT))
    content[bit // 8] ^= 1 << bit % 8
    try:
        check_seal(bytes(content), SOMEWHERE)
        found = msgspec.json.decode(content)
    except (DamageError, msgspec.DecodeError, UnicodeDecodeError):
        return
    # Not found: then nothing that was written is another thing.
    assert {k: v for k, v in found.items() if k in msgspec.json.decode(DOCUMENT)} == msgspec.json.decode(DOCUMENT)


@pytest.mark.parametrize("change", ["another value", "written anew by a program", "two documents"])
def test_an_edited_document_is_damaged(change: str) -> None:
    content = sealed(DOCUMENT)
    changed = {
        "another value": content.replace(b"2.5", b"2.6"),
        "written anew by a program": msgspec.json.encode(msgspec.json.decode(content) | {"values": []}),
        "two documents": content + content,
    }[change]
    with pytest.raises(DamageError, match=r"somewhere\.json: it was changed"):
        check_seal(changed, SOMEWHERE)


def test_a_manifest_names_what_is_damaged(tmp_path: Path) -> None:
    check_manifest(tmp_path)  # of before there were any
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    write_manifest(tmp_path, ["a.bin", "b.bin"])
    check_manifest(tmp_path)
    (tmp_path / "beside.bin").write_bytes(b"not named")
    check_manifest(tmp_path)
    (tmp_path / "b.bin").write_bytes(b"b.bin" * 99 + b"b.bim")
    with pytest.raises(DamageError, match=r"b\.bin: it was changed"):
        check_manifest(tmp_path)
    (tmp_path / "b.bin").unlink()
    with pytest.raises(DamageError, match=r"b\.bin: this file is missing"):
        check_manifest(tmp_path)
    (tmp_path / "manifest.json").write_bytes(b"[]")
    with pytest.raises(DamageError, match=r"manifest\.json: it was changed"):
        check_manifest(tmp_path)
