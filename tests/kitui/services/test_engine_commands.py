"""A law on file is given out as it is only while it is current."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.records.analysis import read_analysis
from engine.records.digests import ANALYSIS_SEMANTICS, is_law_behind
from engine.records.plan import read_plan
from engine.records.record import encoded
from engine.records.workspace import Workspace, write_atomically
from kitui.services.engine_commands import analysis
from kitui.services.simulating import simulate_sweep


def test_a_law_of_another_version_of_the_analysis_is_worked_out_anew(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.create()
    simulate_sweep(
        workspace, "simulated", law_text="30 * (N / 30k) ^ 0.5", sizes="15k,30k", frequencies="0,2,8,32,64",
        num_seeds=2, num_questions=80, seed=0, replace=False,
    )  # fmt: skip
    folder = workspace.sweep("simulated")
    plan = read_plan(folder.plan)
    assert plan is not None
    assert is_law_behind(plan, workspace)  # there is none yet
    current = analysis(workspace, "simulated")
    assert current.analysis_semantics == ANALYSIS_SEMANTICS
    assert not is_law_behind(plan, workspace)

    marked = msgspec.structs.replace(current, law=msgspec.structs.replace(current.law, notes=("from the file",)))
    write_atomically(folder.law, encoded(marked))
    assert analysis(workspace, "simulated") == marked  # current by its head: nothing is fitted
    write_atomically(folder.law, encoded(msgspec.structs.replace(marked, analysis_semantics=ANALYSIS_SEMANTICS - 1)))
    assert is_law_behind(plan, workspace)
    assert analysis(workspace, "simulated") == current
    assert read_analysis(folder.law) == current
