import os
import stat
import threading
from pathlib import Path

import pytest

from engine.errors import StateError
from engine.records.workspace import Workspace, read_json, write_atomically, write_json


def test_a_workspace_is_the_users_alone(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    workspace.create()
    workspace.create()
    assert stat.S_IMODE(workspace.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(workspace.queue.stat().st_mode) == 0o700


def test_a_workspace_that_others_could_read_is_tightened(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    workspace.create()
    for folder in (workspace.root, workspace.queue, workspace.root / "runs"):
        folder.chmod(0o755)
    workspace.create()
    assert not _readable_by_others(workspace.root)
    write_json(workspace.probe, {})
    assert stat.S_IMODE(workspace.probe.stat().st_mode) == 0o600


def test_a_folder_with_other_things_in_it_stays_as_it_is_around_the_workspace(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letters").mkdir(mode=0o755)
    Workspace(tmp_path).create()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert set(_readable_by_others(tmp_path)) == {tmp_path, tmp_path / "letters"}


def _readable_by_others(root: Path) -> list[Path]:
    return [path for path in [root, *root.iterdir()] if path.stat().st_mode & 0o077]


def test_a_place_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="KITUI_WORKSPACE"):
        Workspace(tmp_path / "file" / "w").create()


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"n": 0, "pad": "x" * 200_000})
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            content = read_json(path)
            assert len(content["pad"]) == 200_000
            seen.append(content["n"])

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(1, 60):
        write_json(path, {"n": n, "pad": "x" * 200_000})
    stop.set()
    reader.join()
    assert seen == sorted(seen)
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_atomically(path, b"old")
    full = Path("/dev/full")
    # A file system that takes nothing: writing through a link to /dev/full fails with ENOSPC just so.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.symlink_to(full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new" * 100_000)
    assert path.read_bytes() == b"old"
    assert not temporary.exists()


def test_unreadable_json_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(StateError, match=r"x\.json"):
        read_json(tmp_path / "x.json")
    assert read_json(tmp_path / "absent.json") is None
