"""Scoring kept weights again, and removing what nothing refers to: for real."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.control.ledger.state_file import read_state
from engine.control.leftovers import find_leftovers
from engine.records.metrics import StepRecord, read_metrics
from engine.records.results import RunResult, read_result
from engine.records.workspace import Workspace
from tests.conftest import CommandLine, end_supervisor, wait_until

SMALL = {"model_size": '["nano-3k"]', "seed": "[0]", "num_tokens": '["20k"]'}


def launched(kitui: CommandLine, path: Path) -> None:
    done = kitui("launch", path, "--watch")
    assert done.returncode == 0, done.stderr


def results(workspace: Workspace, sweep: str) -> list[RunResult]:
    state = read_state(workspace)
    ids, evaluation_id = state.sweeps[sweep].run_ids, state.sweeps[sweep].evaluation_id
    found = [read_result(workspace.run(run_id).result(evaluation_id)) for run_id in ids]
    return [result for result in found if result is not None]


def steps(workspace: Workspace) -> list[tuple[str, int, int]]:
    ids = sorted(workspace.run_ids())
    records = [(i, r) for i in ids for r in read_metrics(workspace.run(i).metrics) if isinstance(r, StepRecord)]
    return [(run_id, record.attempt, record.step) for run_id, record in records]


@pytest.mark.slow
def test_kept_weights_are_scored_with_other_questions_and_nothing_is_trained(
    kitui: CommandLine, write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    launched(kitui, write_sweep(infusion_frequency="[0, 4]", **SMALL))
    trained = steps(kitui.workspace)
    assert "2 runs to score" in kitui("evaluate", "sweep", "--num-choices", 2, "--dry-run").stderr
    assert list(read_state(kitui.workspace).sweeps) == ["sweep"]
    done = kitui("evaluate", "sweep", "--num-choices", 2, "--as", "two", "--watch")
    assert done.returncode == 0, done.stderr
    assert steps(kitui.workspace) == trained
    found = results(kitui.workspace, "two")
    assert [score.num_choices for result in found for score in result.sets.values()] == [2] * 8
    assert len(results(kitui.workspace, "sweep")) == 2
    assert kitui.json("curves", "two")["curves"]

    # The same scores as of a sweep that asked so from the start.
    other = CommandLine(tmp_path / "other")
    other.folder.mkdir()
    path = write_sweep(infusion_frequency="[0, 4]", num_choices="2", name="two.toml", **SMALL)
    launched(other, path)
    end_supervisor(other.workspace)
    assert [r.sets for r in results(other.workspace, "two")] == [r.sets for r in found]
    assert [r.questions for r in results(other.workspace, "two")] == [r.questions for r in found]

    for arguments, code, words in (
        ((), 2, "scored with these questions already"),
        (("--num-choices", 27), 2, "evaluation.num_choices = 27"),
        (("--num-choices", 2, "--as", "sweep"), 2, "that is the sweep itself"),
        (("--question-template", 1), 2, "evaluation.question_template = 1"),
    ):
        refused = kitui("evaluate", "sweep", *arguments)
        assert (refused.returncode, words in refused.stderr) == (code, True), refused.stderr
    # The weights are both sweeps': for one of them alone they stay.
    kept = kitui.json("clean", "--weights", "two", "--dry-run")
    assert (kept["found"], kept["kept"]) == ([], ["the weights of 2 runs: another sweep has them too, or scores them"])
    assert kitui("clean", "--weights", "--yes").returncode == 0
    refused = kitui("evaluate", "sweep", "--num-choices", 3)
    assert (refused.returncode, "no weights were kept" in refused.stderr) == (3, True), refused.stderr


@pytest.mark.slow
def test_only_what_nothing_refers_to_is_removed_and_as_much_as_was_said(
    kitui: CommandLine, write_sweep: Callable[..., Path]
) -> None:
    launched(kitui, write_sweep(infusion_frequency="[0, 4, 8]", **SMALL))
    launched(kitui, write_sweep(infusion_frequency="[8]", name="other.toml", **SMALL))
    assert kitui.json("clean", "--dry-run")["found"] == []
    launched(kitui, write_sweep(infusion_frequency="[0]", **SMALL))  # 4 is nobody's now, 8 the other sweep's
    (orphan,) = [run_id for run_id in kitui.workspace.run_ids() if "-f4-" in run_id]
    # Until the plan of the new form is written, the one of before it holds, too.
    wait_until(lambda: kitui.json("clean", "--dry-run")["found"], 60)
    found = kitui.json("clean", "--dry-run")
    assert [(one["kind"], one["path"]) for one in found["found"]] == [("runs", f"runs/{orphan}")]
    refused = kitui("clean")
    assert (refused.returncode, "Give --yes in a script" in refused.stderr) == (2, True)
    assert kitui.workspace.run(orphan).root.exists()

    done = kitui("clean", "--yes")
    assert done.returncode == 0, done.stderr
    assert "1 run gone" in done.stderr
    assert sorted(kitui.workspace.run_ids()) == sorted(read_state(kitui.workspace).runs)
    assert len(kitui.workspace.run_ids()) == 2
    assert kitui("clean", "--yes").stdout == "nothing can go\n"
    assert kitui("verify").returncode == 0

    # A plan that cannot be read might name anything: nothing of that kind is removed then.
    kitui.workspace.sweep("other").bundle.write_text("{")
    kept = kitui.json("clean", "--dry-run")["kept"]
    assert len(kept) == 1
    assert "nobody can tell which of them other has" in kept[0]


def test_what_is_still_being_written_is_no_leftover(workspace: Workspace) -> None:
    old = time.time() - 7200
    made = {
        workspace.root / ".state.json.1.tmp": True,
        workspace.root / "queue" / "1.unreadable": True,
        workspace.root / "tokens" / ".0123456789ab.12345678": True,
        workspace.root / "tokens" / ".ba9876543210.12345678": False,  # locked
        workspace.root / "facts" / ".new.json.99999999.tmp": False,
        # What is not kitui's own: an editor's, a shell's, another program's.
        workspace.root / ".hosts.toml.swp": False,
        workspace.root / ".bashrc.original": False,
        workspace.root / ".old.tmp": False,
        workspace.root / "data.1.tmp": False,
        workspace.root / "runs" / "exp1": False,
        workspace.root / "tokens" / "mine": False,
        workspace.root / "facts" / "notes.txt": False,
    }
    for path in made:
        path.mkdir() if path.parent.name in ("tokens", "runs") else path.touch()
        if ".new." not in path.name:
            os.utime(path, (old, old))
    lock = os.open(workspace.root / "tokens" / ".ba9876543210.12345678", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    found = {workspace.root / one.path for one in find_leftovers(workspace, read_state(workspace)).found}
    os.close(lock)
    assert found == {path for path, is_left_over in made.items() if is_left_over}


@pytest.mark.slow
def test_a_run_that_trains_keeps_its_weights_and_its_place(
    kitui: CommandLine, write_sweep: Callable[..., Path]
) -> None:
    path = write_sweep(infusion_frequency="[4]", seed="[0]", model_size='["nano-3k"]', num_tokens='["3M"]')
    path.write_text(path.read_text() + "\n[execution]\ncheckpoint_every_s = 0.5\n")
    assert kitui("launch", path).returncode == 0
    (run_id,) = read_state(kitui.workspace).sweeps["sweep"].run_ids
    wait_until(kitui.workspace.run(run_id).latest.exists, 60)
    assert kitui("clean", "--weights", "--yes").returncode == 0
    assert kitui.workspace.run(run_id).latest.exists()
    assert json.loads(kitui("clean", "--dry-run", "--json").stdout)["found"] == []
