"""Damage of every kind to every file that a number is made of: it is told, and made anew, and never a number."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.analysis.sweep_analysis import SweepAnalysis
from engine.corpus.verify import verified
from engine.errors import DamageError, DataError, StateError
from engine.records.analysis import AnalysisDocument
from engine.records.plan import Plan, read_plan
from engine.records.results import read_result
from engine.records.workspace import Workspace
from tests.conftest import SAMPLES, CommandLine, end_supervisor, wait_until
from tests.engine.control.test_supervisor import outcome, results

DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bit": lambda content, rng: _flipped(content, rng.randrange(8 * len(content))),
    "zeros": lambda content, rng: _zeroed(content, rng.randrange(len(content))),
    "cut": lambda content, rng: content[: rng.randrange(len(content))],
    "longer": lambda content, rng: content + rng.randbytes(16),
    "empty": lambda content, rng: b"",
    "another shape": lambda content, rng: b"[1, 2]",
    "gone": lambda content, rng: b"",
}


def _flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _zeroed(content: bytes, start: int) -> bytes:
    end = min(len(content), start + 4096)
    return content[:start] + bytes(end - start) + content[end:]


@pytest.fixture
def line(trained: CommandLine, tmp_path: Path) -> Iterator[CommandLine]:
    """The trained sweep, copied, to be damaged."""
    copy = CommandLine(tmp_path)
    shutil.copytree(trained.workspace.root, copy.workspace.root, symlinks=True)
    yield copy
    end_supervisor(copy.workspace)


def files_of(workspace: Workspace) -> dict[str, list[Path]]:
    """Every file that feeds a number of the sweep, by kind."""
    plan = read_plan(workspace.sweep("smoke").plan)
    assert plan is not None
    tokens, runs = workspace.tokens(plan.tokens_id), [workspace.run(cell.run_id) for cell in plan.cells[:2]]
    checkpoints = [file for run in runs for file in run.checkpoints.glob("*/*")]
    return {
        "tokens": [file for file in tokens.iterdir() if file.name != "corpus.json"],
        "facts": [workspace.facts(plan.facts_id)],
        "plan": [workspace.sweep("smoke").plan],
        "bundle": [workspace.sweep("smoke").bundle],
        "law": [workspace.sweep("smoke").law],
        "result": [run.result(plan.evaluation_id) for run in runs],
        "checkpoint": checkpoints,
    }


def numbers(document: AnalysisDocument) -> dict[tuple[object, ...], float]:
    return {
        (curve.condition, curve.fact_set, point.frequency, value.seed): value.retention
        for curve in document.curves
        for point in curve.points
        for value in point.values
    }


def test_no_damage_is_taken_for_a_number(line: CommandLine) -> None:
    """Each is found by looking through the sweep; what is served beside it are the true numbers, or fewer of them."""
    workspace = line.workspace
    folder = workspace.sweep("smoke")
    truth = numbers(SweepAnalysis(folder, workspace).document())
    assert verified(workspace, "smoke").faults == ()
    rng = random.Random(20261126)
    cases, silent = 0, []
    for kind, files in files_of(workspace).items():
        for path in files:
            sound = path.read_bytes()
            for name, damage in DAMAGES.items():
                for _ in range(3 if name in ("bit", "zeros", "cut") else 1):
                    content = damage(sound, rng)
                    if content == sound:  # zeros where zeros were
                        continue
                    cases += 1
                    path.unlink() if name == "gone" else path.write_bytes(content)
                    try:
                        served = numbers(SweepAnalysis(folder, workspace).document())
                    except (StateError, DataError):
                        served = {}
                    wrong = {key for key, value in served.items() if truth.get(key) != value}
                    told = bool(verified(workspace, "smoke").faults)
                    # A result, law or plan that is gone is not there yet, and one that is read is the one written.
                    may_be_gone = name == "gone" and kind in ("result", "law", "plan", "bundle")
                    manifest_gone = name == "gone" and path.name == "manifest.json"  # as before there were any
                    if wrong or not (told or may_be_gone or manifest_gone or _says_the_same(path, sound)):
                        silent.append((kind, path.name, name))
                path.write_bytes(sound)
    print(f"{cases} damages")
    assert cases >= 200
    assert silent == []


def _says_the_same(path: Path, sound: bytes) -> bool:
    """Whether what was hit says nothing: a blank turned into another."""
    damaged = path.read_bytes() if path.exists() else b""
    return damaged.split() == sound.split()


@pytest.mark.slow
def test_what_is_damaged_is_made_anew(line: CommandLine) -> None:
    """Everything at once that can be made anew: results, token files, facts, plan and law."""
    workspace = line.workspace
    before = {run_id: outcome(result) for run_id, result in results(workspace).items()}
    curves = line.json("curves", "smoke")
    rng = random.Random(7)
    files = files_of(workspace)
    for kind in ("result", "tokens", "facts", "law", "plan"):
        for path in files[kind]:
            path.write_bytes(DAMAGES["zeros"](path.read_bytes(), rng))
    found = line("verify", "smoke")
    assert found.returncode == 3, found.stdout
    assert "kitui verify smoke --mend makes anew" in found.stderr
    mended = line("verify", "smoke", "--mend")
    assert mended.returncode == 0, mended.stderr
    done = line("watch", "smoke")
    assert done.returncode == 0, done.stderr
    again = line("verify", "smoke")
    assert again.returncode == 0, again.stdout
    assert {run_id: outcome(result) for run_id, result in results(workspace).items()} == before
    assert line.json("curves", "smoke") == curves


@pytest.mark.slow
def test_tokens_and_facts_that_are_damaged_while_a_sweep_waits_are_made_anew_by_themselves(
    kitui: CommandLine, trained: CommandLine
) -> None:
    """Nobody looks and nobody mends: the run that notices has its sweep prepared again."""
    assert kitui("launch", SAMPLES / "smoke.toml").returncode == 0
    workspace = kitui.workspace
    wait_until(lambda: list(workspace.root.glob("runs/*/result-*.json")), 120)
    plan = _plan(workspace)
    for path in (workspace.tokens(plan.tokens_id) / "tokenizer.json", workspace.facts(plan.facts_id)):
        path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    done = kitui("watch", "smoke")
    assert done.returncode == 0, done.stderr
    assert {r: outcome(x) for r, x in results(workspace).items()} == {
        r: outcome(x) for r, x in results(trained.workspace).items() if r in {c.run_id for c in plan.cells}
    }


def _plan(workspace: Workspace) -> Plan:
    plan = read_plan(workspace.sweep("smoke").plan)
    assert plan is not None
    return plan


def test_a_result_copied_over_another_is_none(line: CommandLine) -> None:
    first, second = files_of(line.workspace)["result"]
    shutil.copy(second, first)
    with pytest.raises(DamageError, match="the result of another run"):
        read_result(first)
    law = line("law", "smoke", "--json")
    assert "the result of another run" in law.stdout + law.stderr
    assert line("retry", "smoke").stderr.startswith("1 run queued again")


def test_an_imported_table_that_is_damaged_is_no_curve(kitui: CommandLine) -> None:
    assert kitui("simulate", "--name", "made").returncode == 0
    table = kitui.workspace.sweep("made").results
    table.write_bytes(_flipped(table.read_bytes(), 8 * table.stat().st_size // 2))
    for command in (("curves", "made"), ("law", "made"), ("verify", "made")):
        done = kitui(*command)
        assert done.returncode == 3, (command, done.stdout)
        assert "was changed after it was written" in done.stdout + done.stderr
        assert "Import it again." in done.stdout + done.stderr
    mended = kitui("verify", "made", "--mend")  # there is nothing to make it from
    assert (mended.returncode, "this sweep is damaged" in mended.stderr) == (3, True)
