"""The log of a run in sentences: all of it, in order, and what comes."""

from __future__ import annotations

from pathlib import Path

from engine.records.metrics import EventRecord, MetricsWriter
from engine.records.workspace import Workspace
from kitui.services.run_log import RunLog


def event(name: str, step: int) -> EventRecord:
    return EventRecord(attempt=1, step=step, name=name, text="", time_s=0.0)


def drained(log: RunLog) -> list[str]:
    found: list[str] = []
    while new := log.read_new():
        found += new
    return found


def test_own_output_comes_first_and_then_events_as_they_come(tmp_path: Path) -> None:
    folder = Workspace(tmp_path).run("a")
    folder.root.mkdir(parents=True)
    log = RunLog(folder)
    assert drained(log) == []
    folder.log.write_bytes(b"one\ntwo \x1b[31m\nhalf a li")
    writer = MetricsWriter(folder.metrics)
    writer.write(event("started", 0))
    first = drained(log)
    assert first[:1] == ["one"]
    assert "\x1b" not in first[1]
    assert first[2] == "half a li"
    assert first[3].endswith("started")
    with folder.log.open("ab") as handle:
        handle.write(b"ne\n")
    writer.write(event("ended", 9))
    writer.close()
    assert [line.split()[-1] for line in drained(log)] == ["ne", "ended"]
    assert drained(log) == []


def test_a_run_that_is_trained_anew_begins_anew(tmp_path: Path) -> None:
    folder = Workspace(tmp_path).run("a")
    folder.root.mkdir(parents=True)
    folder.log.write_text("first\nsecond\n")
    log = RunLog(folder)
    drained(log)
    folder.log.write_text("again\n")
    assert drained(log) == ["again"]


def test_a_letter_that_is_written_in_two_parts_is_one(tmp_path: Path) -> None:
    folder = Workspace(tmp_path).run("a")
    folder.root.mkdir(parents=True)
    log = RunLog(folder)
    with folder.log.open("ab") as handle:
        handle.write("abc é".encode()[:-1])
        handle.flush()
        first = drained(log)
        handle.write("é".encode()[-1:] + b"\n")
        handle.flush()
    assert "".join(first + drained(log)) == "abc é"
