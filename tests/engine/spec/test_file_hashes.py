import hashlib
import os
from pathlib import Path

import pytest

from engine.errors import KituiError
from engine.spec import file_hashes
from engine.spec.file_hashes import hashes_of


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(file_hashes, "_LARGE_BYTES", 1_000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read from now on."""
    names: list[str] = []
    digest = hashlib.file_digest

    def counted(handle, name):  # type: ignore[no-untyped-def]
        names.append(Path(handle.name).name)
        return digest(handle, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return names


def test_a_large_file_is_read_once_and_again_when_it_changes(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, small = tmp_path / "large.txt", tmp_path / "small.txt"
    large.write_bytes(b"a" * 2_000)
    small.write_bytes(b"b")
    expected = [hashlib.sha256(file.read_bytes()).digest() for file in (large, small)]
    read = reads(monkeypatch)
    assert hashes_of([large, small]) == hashes_of([large, small]) == expected
    assert sorted(read) == ["large.txt", "small.txt", "small.txt"]
    before = large.stat()
    large.write_bytes(b"c" + b"a" * 1_999)  # of the same size, and with its time set back
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashes_of([large]) == [hashlib.sha256(large.read_bytes()).digest()]


def test_what_is_kept_is_no_more_than_a_help(cache: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    large.write_bytes(b"a" * 2_000)
    expected = hashes_of([large])
    (kept,) = cache.rglob("*.json")
    kept.write_bytes(b"{not json")
    assert hashes_of([large]) == expected
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_bytes(b"")  # no folder can be made there
    assert hashes_of([large]) == expected


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KituiError):
        hashes_of([tmp_path / "pipe"])
