"""Twelve and more kinds of bad sweep file, launched for real: one message, exit code 2, nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SAMPLES, CommandLine

# What is changed in smoke.toml, and what the message must hold: key, value, mend.
CASES: dict[str, tuple[dict[str, str], list[str]]] = {
    "wrong type": ({"num_prior": '"many"'}, ["facts.num_prior", "many", "expected a number"]),
    "unknown key": (
        {"vocab_size": "300\nvocabulary = 5"},
        ["bad.toml", "tokenizer.vocabulary", "Known: kind, vocab_size"],
    ),
    "misspelt axis": (
        {"infusion_frequency": "[0]\ninfusion_freqency = [1]"},
        ["grid.infusion_freqency", "Did you mean infusion_frequency"],
    ),
    "empty frequency list": ({"infusion_frequency": "[]"}, ["grid.infusion_frequency", "[]", "geom("]),
    "missing facts file": ({"path": '"nowhere.jsonl"'}, ["facts.path", "nowhere.jsonl", "relative to the sweep"]),
    "a relation without facts": ({"relations": '["P17", "P131x"]'}, ["facts.relations", "P131x", "Did you mean P131"]),
    "frequency above the ceiling": (
        {"infusion_frequency": "[0, 4, 5000]"},
        ["grid.infusion_frequency = 5000", "ceiling", "Use 78 or less"],
    ),
    "a name that climbs": ({"kind": '"word"', "seed": "[0, 1]"}, ["name", "../up"]),
    "an axis expression that is none": ({"infusion_frequency": '["geom(1, 8)"]'}, ["grid.infusion_frequency", "geom"]),
    "not TOML": ({"num_infused": "48 facts"}, ["line", "TOML"]),
    "unknown size": ({"model_size": '["nano-9k"]'}, ["grid.model_size", "nano-9k", "nano-7k"]),
    "more facts than there are": ({"num_prior": "900000"}, ["900,096 facts are wanted", "Ask for fewer"]),
}


def assert_launch_fails(kitui: CommandLine, path: Path, *words: str) -> None:
    done = kitui("launch", path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    message = " ".join(done.stderr.split())
    assert message.count("error:") == 1
    for word in words:
        assert word in message, message
    assert not kitui.workspace.root.exists()


@pytest.mark.parametrize("case", CASES)
def test_one_message_and_nothing_written(kitui: CommandLine, write_sweep: Callable[..., Path], case: str) -> None:
    changes, words = CASES[case]
    path = write_sweep(name="bad.toml", **changes)
    if case == "a name that climbs":
        path.write_text('name = "../up"\n' + path.read_text())
    assert_launch_fails(kitui, path, *words)


def facts() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / "facts.jsonl").read_text().splitlines()]


def with_facts(write_sweep: Callable[..., Path], rows: bytes) -> Path:
    path = write_sweep(name="bad.toml", path='"own.jsonl"')
    (path.parent / "own.jsonl").write_bytes(rows)
    return path


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_duplicate_facts(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    rows = facts()
    assert_launch_fails(
        kitui, with_facts(write_sweep, jsonl([*rows[:40], rows[7]])), "own.jsonl", "line 41", "on line 8", "merge"
    )


def test_bad_utf8_names_the_line(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    rows = jsonl(facts()[:20]) + b'{"subject": "\xff"}\n'
    assert_launch_fails(kitui, with_facts(write_sweep, rows), "own.jsonl", "line 21", "UTF-8")


def test_a_row_without_an_object(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    rows = facts()[:20]
    del rows[12]["object"]
    assert_launch_fails(kitui, with_facts(write_sweep, jsonl(rows)), "own.jsonl", "line 13", "object")


def test_no_such_file(kitui: CommandLine) -> None:
    done = kitui("launch", "nowhere.toml")
    assert done.returncode == 2
    assert "nowhere.toml" in done.stderr
    assert "Traceback" not in done.stderr
    assert not kitui.workspace.root.exists()


def test_a_fact_without_a_template(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    path = write_sweep(name="bad.toml", templates='"own.toml"')
    kept = (SAMPLES / "templates.toml").read_text().split("[P17]")[0]
    assert "[P17]" in (SAMPLES / "templates.toml").read_text()
    (path.parent / "own.toml").write_text(kept)
    assert_launch_fails(kitui, path, "own.toml", "P17")
