"""A sweep's files, and the sweep as it reads on a host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.control.transport.inputs import inputs_of, relocated_bundle
from engine.corpus.prepare import plan
from engine.records.workspace import Workspace

TEXT = "Some text of one's own. " * 4000


def test_what_a_host_needs_and_where_it_lies_there(
    workspace: Workspace, write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(name + TEXT)
    path = write_sweep()
    path.write_text(path.read_text() + '\n[background]\nsource = "files"\npath = ["b.txt", "a.txt"]\n')
    bundle = plan(path, workspace)
    inputs = inputs_of(bundle)
    assert [one.source.name for one in inputs] == ["b.txt", "a.txt"]
    there = relocated_bundle(bundle, "/there")
    assert there.corpus.background.paths == tuple(one.path("/there") for one in inputs)
    assert list(there.corpus.background_hashes.values()) == list(bundle.corpus.background_hashes.values())
    # Another place is no other corpus, and no other run.
    assert there.corpus.tokens_id == bundle.corpus.tokens_id
    assert [run.run_id for run in there.runs] == [run.run_id for run in bundle.runs]


def test_a_built_in_text_is_there_already(workspace: Workspace, write_sweep: Callable[..., Path]) -> None:
    bundle = plan(write_sweep(), workspace)
    assert inputs_of(bundle) == []
    assert relocated_bundle(bundle, "/there") == bundle
