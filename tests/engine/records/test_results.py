"""A result is believed where it stands: it is its run's, and its counts are those of its answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from engine.errors import DamageError
from engine.records.record import encoded, write_record
from engine.records.results import RunResult, read_result
from tests.conftest import CommandLine

pytestmark = pytest.mark.xdist_group("trained")


@pytest.fixture
def result(trained: CommandLine, tmp_path: Path) -> Path:
    """A copy of a real result, in a folder of its run's name."""
    source = next(iter(sorted(trained.workspace.root.glob("runs/*/result-*.json"))))
    folder = tmp_path / source.parent.name
    folder.mkdir()
    return Path(shutil.copy(source, folder / source.name))


def changed(path: Path, **changes: object) -> None:
    """Write it with other values, under a digest that agrees: as a program would that means to."""
    found = read_result(path)
    assert found is not None
    write_record(path, msgspec.structs.replace(found, **changes))


def test_a_result_of_before_there_were_digests_is_read(result: Path) -> None:
    found = read_result(result)
    assert found is not None
    result.write_bytes(encoded(found))
    assert read_result(result) == found


@pytest.mark.parametrize("what", ["value", "zeros", "cut", "empty", "another shape"])
def test_a_damaged_result_is_no_number(result: Path, what: str) -> None:
    content = result.read_bytes()
    result.write_bytes(
        {
            "value": content.replace(b'"num_steps":', b'"num_steps": 1').replace(b": 1 ", b": 1"),
            "zeros": content[:200] + bytes(100) + content[300:],
            "cut": content[: len(content) // 2],
            "empty": b"",
            "another shape": b"[1, 2]",
        }[what]
    )
    with pytest.raises(DamageError) if what != "another shape" else pytest.raises(Exception, match="another version"):
        read_result(result)


def test_another_runs_result_and_that_of_other_questions_are_refused(result: Path) -> None:
    elsewhere = result.parent.with_name("nano-7k-f0-s9-0123456789ab")
    elsewhere.mkdir()
    with pytest.raises(DamageError, match="the result of another run"):
        read_result(Path(shutil.copy(result, elsewhere / result.name)))
    with pytest.raises(DamageError, match="the result of other questions"):
        read_result(Path(shutil.copy(result, result.parent / "result-0123456789ab.json")))


@pytest.mark.parametrize("change", [{"correct": 1}, {"correct": 99}, {"num_questions": 4}])
def test_counts_are_those_of_the_answers_beside_them(result: Path, change: dict[str, int]) -> None:
    found = read_result(result)
    assert isinstance(found, RunResult)
    changed(result, sets=found.sets | {"prior": msgspec.structs.replace(found.sets["prior"], **change)})
    with pytest.raises(DamageError, match=r"prior questions right, it says; the answers in it are \d+ of 96"):
        read_result(result)
