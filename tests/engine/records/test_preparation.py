import fcntl
import os
from pathlib import Path

from engine.records.preparation import PROGRESS_FILE, Preparation, folder_of_making, read_preparation, write_preparation
from engine.records.workspace import Workspace
from tests.conftest import Prepared


def test_what_is_written_while_tokens_are_made_is_read_by_the_sweeps_name(smoke: Prepared) -> None:
    workspace: Workspace = smoke.workspace
    name, tokens = smoke.bundle.plan.sweep, workspace.tokens(smoke.bundle.plan.tokens_id)
    assert read_preparation(workspace, name) is None  # made already
    assert not (tokens / PROGRESS_FILE).exists()
    building = folder_of_making(tokens)
    building.mkdir()
    try:
        write_preparation(building, Preparation(making="tokens", share=0.25))
        assert read_preparation(workspace, name) is None  # nobody is at it
        descriptor = os.open(building, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        found = read_preparation(workspace, name)
        assert found is not None
        assert found.words == "tokens 25%"
        (building / PROGRESS_FILE).write_bytes(b"{}")
        assert read_preparation(workspace, name) is None
    finally:
        os.close(descriptor)
        for file in building.iterdir():
            file.unlink()
        building.rmdir()


def test_a_text_of_unknown_length_has_no_share(tmp_path: Path) -> None:
    assert Preparation(making="tokenizer", share=None).words == "tokenizer"
    assert read_preparation(Workspace(tmp_path), "none") is None
