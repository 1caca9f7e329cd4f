import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.corpus.prepare import main, make, plan
from engine.errors import DataError, SpecError
from engine.records.plan import read_plan
from engine.records.record import plain
from engine.records.workspace import Workspace, write_json
from tests.conftest import prepare


def test_planning_writes_nothing(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    path = write_sweep()
    before = sorted(p.name for p in tmp_path.rglob("*"))
    bundle = plan(path, Workspace(tmp_path / "nowhere"))
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
    assert not bundle.plan.estimated
    assert bundle.plan.ceilings[0].ceiling_frequency == 78
    assert bundle.plan.tokens_per_fact == pytest.approx(5.25)
    assert len(bundle.plan.cells) == len(bundle.runs) == 12


def test_preparing_confirms_the_plan_and_is_done_once(write_sweep: Callable[..., Path], workspace: Workspace) -> None:
    prepared = prepare(write_sweep(), workspace)
    made = read_plan(workspace.sweep("sweep").plan)
    assert made.cells == prepared.bundle.plan.cells
    assert made.background_tokens > 50_000
    tokens = workspace.tokens(made.tokens_id)
    before = {p.name: p.stat().st_mtime_ns for p in tokens.iterdir()}
    make(workspace.sweep("sweep"), workspace)
    assert {p.name: p.stat().st_mtime_ns for p in tokens.iterdir()} == before
    # With the token files there, planning reads them instead of making a tokenizer.
    assert plan(write_sweep(), workspace).plan.background_tokens == made.background_tokens


def test_another_text_than_at_the_launch_is_refused(
    write_sweep: Callable[..., Path], workspace: Workspace, tmp_path: Path
) -> None:
    """Its runs would be other runs: a host with another file, or a Python with another built-in text."""
    (tmp_path / "own.txt").write_text("Some text of one's own. " * 4000)
    path = write_sweep()
    path.write_text(path.read_text() + '\n[background]\nsource = "files"\npath = "own.txt"\n')
    workspace.create()
    folder = workspace.sweep("sweep")
    folder.root.mkdir()
    write_json(folder.bundle, plain(plan(path, workspace)))
    (tmp_path / "own.txt").write_text("Another text. " * 8000)
    with pytest.raises(DataError, match="another text than the sweep was launched with"):
        make(folder, workspace)
    assert not any(workspace.root.glob("tokens/*"))


def test_a_dose_above_the_ceiling_is_refused_with_the_ceiling_named(
    write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=r"infusion_frequency = 79.*ceiling.*at most 78"):
        plan(write_sweep(infusion_frequency="[0, 78, 79]"), Workspace(tmp_path / "w"))


def test_too_many_prior_exposures_are_refused(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"prior_rate = 3000.*At most"):
        plan(write_sweep(prior_rate="3000"), Workspace(tmp_path / "w"))


def test_a_fact_longer_than_a_row_is_refused(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"context_length = 6.*longer than a row"):
        plan(write_sweep(context_length="6", num_tokens='["20k"]'), Workspace(tmp_path / "w"))


def test_appending_has_no_ceiling(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    text = write_sweep(infusion_frequency="[0, 500]").read_text().replace('"displace"', '"append"')
    bundle = plan(write_sweep(text), Workspace(tmp_path / "w"))
    assert bundle.plan.ceilings[0].ceiling_frequency is None
    by_dose = {c.frequency: c.total_tokens for c in bundle.plan.cells}
    assert by_dose[0] == 20_000
    assert by_dose[500] == 20_000 + 500 * round(48 * 5.25)


def test_the_hub_sweep_is_planned_offline_with_estimates(samples: Path, tmp_path: Path) -> None:
    bundle = plan(samples / "hub.toml", Workspace(tmp_path / "w"))
    assert bundle.plan.estimated
    assert any(note.startswith("estimated") for note in bundle.plan.notes)
    assert {c.model for c in bundle.plan.cells} == {"137M", "350M", "1B", "3B"}
    largest = max(bundle.plan.cells, key=lambda c: c.train_flops)
    assert largest.train_flops == pytest.approx(6 * 3e9 * 100e9, rel=0.2)


def test_faults_cross_the_process_as_json(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "engine.corpus.prepare",
            "plan",
            write_sweep(num_prior="99999"),
            "--workspace",
            tmp_path,
        ],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    error = json.loads(done.stdout)
    assert error["error"] == "DataError"
    assert error["what"].startswith("100,095 facts are wanted")
    assert done.stderr == b""


def test_making_without_a_launched_sweep_is_said(
    workspace: Workspace, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = workspace.sweep("none").root
    folder.mkdir()
    assert main(["make", str(folder)]) == 2
    assert b"no launched sweep" in capfdbinary.readouterr().out


def test_choices_that_the_tokenizer_cannot_tell_apart_are_refused(
    write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    """Of questions of one's own the words are in the vocabulary; signs that no word holds are told apart by nothing."""
    text = (
        write_sweep()
        .read_text()
        .replace("num_choices = 4", 'num_choices = 4\nkind = "own_choices"\nquestions = "own.jsonl"')
    )
    path = write_sweep(text)
    facts = [json.loads(line) for line in path.with_name("facts.jsonl").read_text().splitlines()]
    rows = [{"id": f["subject"], "question": "Which?", "choices": ["Zorblax", "Quux"], "answer": 0} for f in facts]
    path.with_name("own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = plan(path, Workspace(tmp_path / "w")).plan
    assert found.unknown_in_facts == 0
    alike = [row | {"choices": ["zorblax", "Zorblax"]} for row in rows]
    path.with_name("own.jsonl").write_text("\n".join(map(json.dumps, alike)))
    with pytest.raises(DataError, match=r"cannot tell these choices apart.*vocab_size"):
        plan(path, Workspace(tmp_path / "w"))
