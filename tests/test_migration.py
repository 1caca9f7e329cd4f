"""A workspace that an earlier kitui made (commit 7cea932: no digests, no versions) opens, counts, and is gone on with.

`tests/data/workspace-7cea932.tar.xz` was made by that commit's `kitui launch old.toml` and `kitui simulate`; what names
the machine it was made on was taken out.
"""

from __future__ import annotations

import json
import shutil
import tarfile

import pytest

from engine.control.ledger.lock import STATE_FORMAT
from engine.control.ledger.state_file import read_state
from engine.records.results import read_result
from tests.conftest import ROOT, SAMPLES, CommandLine


@pytest.fixture
def old(kitui: CommandLine) -> CommandLine:
    with tarfile.open(ROOT / "tests/data/workspace-7cea932.tar.xz") as archive:
        archive.extractall(kitui.folder, filter="data")
    for name in ("old.toml", "text.txt"):
        shutil.move(kitui.workspace.root / name, kitui.folder / name)
    for name in ("facts.jsonl", "templates.toml"):
        shutil.copy(SAMPLES / name, kitui.folder / name)
    return kitui


def rows(line: CommandLine) -> dict[str, tuple[int, int]]:
    return {row["name"]: (row["done"], row["cells"]) for row in line.json("status")["sweeps"]}


@pytest.mark.slow
def test_what_an_earlier_kitui_trained_is_read_checked_extended_and_scored_again(old: CommandLine) -> None:
    kept = {path: path.read_bytes() for path in old.workspace.root.glob("runs/*/result-*.json")}
    assert len(kept) == 2
    assert rows(old) == {"old": (2, 2), "sim": (27, 27)}
    assert old("verify").returncode == 0
    assert old("doctor", "--mend").returncode == 0  # others could read it
    values = {
        point["frequency"]: point["mean"]
        for curve in old.json("curves", "old")["curves"]
        if curve["fact_set"] == "infused"
        for point in curve["points"]
    }
    for path in kept:
        result = read_result(path)
        assert result is not None
        frequency = int(result.run_id.split("-f")[1].split("-")[0])
        assert values[frequency] == pytest.approx(result.sets["infused"].retention)
    assert len(old.json("curves", "sim")["curves"]) > 3

    path = old.folder / "old.toml"
    path.write_text(path.read_text().replace("seed = [0]", "seed = [0, 1]"))
    assert old.json("plan", path)["cells"] == {"total": 4, "new": 2, "trained": 2}
    done = old("launch", path, "--watch")
    assert done.returncode == 0, done.stderr
    assert rows(old)["old"] == (4, 4)
    assert {path: path.read_bytes() for path in kept} == kept
    assert {run.attempt for run in read_state(old.workspace).runs.values()} == {1}

    done = old("evaluate", "old", "--num-choices", 2, "--as", "two", "--watch")
    assert done.returncode == 0, done.stderr
    assert rows(old)["two"] == (4, 4)
    assert old("verify").returncode == 0
    state = json.loads(old.workspace.state.read_bytes())
    assert state["format"]["1"]["version"] == STATE_FORMAT
    assert len(state["digest"]) == 64
