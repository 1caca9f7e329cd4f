"""Files that people give: what is no file of a bearable size is refused at once, and named."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import DataError, KituiError, SpecError
from engine.records.hosts import read_hosts
from engine.records.workspace import Workspace
from engine.spec.fact_files import read_facts
from engine.spec.files import MAX_BYTES_VARIABLE, read_bytes, read_text, read_toml
from engine.spec.sweep_file import read_sweep
from engine.spec.tables import read_rows
from engine.spec.templates import read_templates


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**33)


def folder(path: Path) -> None:
    path.mkdir()


KINDS = {pipe: "a pipe, a socket or a device", device: "a device", sparse: "at most", folder: "this is a folder"}
READERS = {
    "facts.jsonl": read_facts,
    "facts.csv": read_facts,
    "facts.parquet": read_facts,
    "templates.toml": read_templates,
    "sweep.toml": read_sweep,
    "hosts.toml": lambda path: read_hosts(Workspace(path.parent)),
}


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_neither_waited_for_nor_read(tmp_path: Path, name: str, make) -> None:
    make(tmp_path / name)
    tracemalloc.start()
    try:
        with pytest.raises(KituiError, match=KINDS[make]) as caught:
            READERS[name](tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()
    assert caught.value.exit_code == 2
    assert name in caught.value.where


def test_what_cannot_be_a_path_is_named() -> None:
    with pytest.raises(DataError, match="not a path"):
        read_bytes(Path("a\0b"), "facts.path")


def test_a_file_that_is_too_large_is_read_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.txt"
    path.write_text("x" * 1000)
    with pytest.raises(DataError, match="1,000 bytes; at most 10 are read") as caught:
        read_text(path, most_bytes=10)
    assert MAX_BYTES_VARIABLE in caught.value.mend
    monkeypatch.setenv(MAX_BYTES_VARIABLE, "1k")
    assert len(read_text(path, most_bytes=10)) == 1000
    monkeypatch.setenv(MAX_BYTES_VARIABLE, "much")
    with pytest.raises(SpecError, match="much"):
        read_text(path, most_bytes=10)


def test_a_file_whose_size_nobody_knows_is_read_up_to_the_cap() -> None:
    assert read_text(Path("/proc/self/status")).startswith("Name:")
    with pytest.raises(DataError, match="at most 10 are read"):
        read_text(Path("/proc/self/status"), most_bytes=10)


def test_a_packed_table_counts_as_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "facts.parquet"
    zeros = pa.array(["0" * 1000] * 400_000).dictionary_encode()
    pq.write_table(pa.table({"subject": zeros.cast(pa.string())}), path, use_dictionary=False, compression="zstd")
    assert path.stat().st_size < 10**6
    with pytest.raises(DataError, match="at most"):
        list(read_rows(path, key="facts.path", required=["subject"]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("a = " + "{ a = " * 5000, "nested too deeply"),
        ("a = 1" + "0" * 5000, "not valid TOML"),
        (".".join("a" * 50_000) + " = 1", "a key of more than"),
        (".".join(["'a'"] * 50_000) + " = 1", "a key of more than"),
        ("[" + ".".join("a" * 50_000) + "]", "a key of more than"),
    ],
)
def test_toml_that_the_parser_cannot_bear(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(DataError, match=words):
        read_toml(tmp_path / "a.toml")


def test_dots_in_texts_and_comments_are_no_keys(tmp_path: Path) -> None:
    dots = "." * 100
    (tmp_path / "a.toml").write_text(f"# {dots}\na = '{dots}'\nb = \"{dots}\"\n")
    assert read_toml(tmp_path / "a.toml") == {"a": dots, "b": dots}


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    good = '{"subject": "a", "relation": "r", "object": "b"}\n'
    (tmp_path / "facts.jsonl").write_text('{"subject": ""}\n' + good + good + '{"subject": 3}\n' * 40)
    with pytest.raises(DataError) as caught:
        read_facts(tmp_path / "facts.jsonl")
    told = caught.value.message.splitlines()
    assert "line 1" in told[0]
    assert "line 3: 'a · r · b': the same fact stands on line 2 and here" in told[1]
    assert told[-1] == "… and 22 more like these."


def test_a_line_without_an_end_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "facts.jsonl").write_text('{"subject": "' + "a" * 2**21 + '"}\n')
    with pytest.raises(DataError, match="a line of more than"):
        read_facts(tmp_path / "facts.jsonl")
