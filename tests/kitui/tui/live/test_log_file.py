"""Logs of any size, read where they are looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitui.tui.live.log_file import MAX_LINE_BYTES, LogFile


def opened(path: Path, content: bytes) -> LogFile:
    path.write_bytes(content)
    file = LogFile(path)
    file.refresh()
    return file


LINES = st.lists(st.text(st.characters(blacklist_characters="\n\r", blacklist_categories=["Cs"]), max_size=12))


@given(LINES, st.booleans())
def test_walking_a_file_gives_its_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], ended: bool
) -> None:
    text = "\n".join(lines) + ("\n" if ended and lines else "")
    file = opened(tmp_path_factory.mktemp("log") / "log.txt", text.encode())
    expected = text.split("\n")
    if expected[-1] == "":
        expected.pop()
    assert [line.text for line in file.lines(0, 10_000)] == expected
    places = [line.start for line in file.lines(0, 10_000)]
    for count in range(1, len(places) + 1):
        assert file.last(count) == places[-count]
    for here, place in enumerate(places):
        assert file.back(place, here) == 0
        assert file.forward(0, here) == place


def test_following_a_file_that_grows_shrinks_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    file = LogFile(path)
    assert file.refresh() is False
    assert file.lines(0, 5) == []
    path.write_text("one\n")
    assert file.refresh()
    assert not file.refresh()
    with path.open("a") as handle:
        handle.write("two\n")
    assert file.refresh()
    assert [line.text for line in file.lines(0, 5)] == ["one", "two"]
    path.write_text("1\n")
    assert file.refresh()
    assert [line.text for line in file.lines(0, 5)] == ["1"]
    path.unlink()
    assert file.refresh()
    assert (file.size, file.last(3), file.find("1", 0)) == (0, 0, None)


def test_a_very_long_line_is_cut(tmp_path: Path) -> None:
    file = opened(tmp_path / "log.txt", b"x" * 90_000 + b"\nnext\n")
    first, second = file.lines(0, 5)
    assert first.text == "x" * MAX_LINE_BYTES + f" … {90_000 - MAX_LINE_BYTES:,} more bytes"
    assert second.text == "next"


def test_searching_both_ways(tmp_path: Path) -> None:
    text = "".join(f"line {i}{' Needle' if i % 10 == 3 else ''}\n" for i in range(100))
    file = opened(tmp_path / "log.txt", text.encode())
    places = {line.start: line.text for line in file.lines(0, 1000)}
    first = file.find("needle", 0)
    assert first is not None
    assert places[first] == "line 3 Needle"
    second = file.find("needle", file.forward(first, 1))
    assert second is not None
    assert places[second] == "line 13 Needle"
    assert file.find("needle", second, backwards=True) == first
    assert file.find("needle", first, backwards=True) is None
    assert file.find("NEEDLE", 0) is None  # capitals count where they are given
    assert file.find("(", 0) is None


def test_a_match_across_chunks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitui.tui.live.log_file._CHUNK_BYTES", 16)
    text = "a" * 13 + "\nneedle here\n" + "b" * 40 + "\n"
    file = opened(tmp_path / "log.txt", text.encode())
    assert file.find("needle", 0) == 14
    assert file.find("needle", len(text), backwards=True) == 14
