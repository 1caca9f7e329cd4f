"""Runs on this machine, and what a supervisor finds that was killed while it started one."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from engine.control.launchers.base import Standing
from engine.control.launchers.local import LocalLauncher
from engine.records.hosts import this_machine
from engine.records.processes import GuardRecord, LaunchRecord
from engine.records.record import plain, read_record
from engine.records.workspace import RunFolder, Workspace, write_json
from tests.conftest import wait_until


@pytest.fixture
def launcher(workspace: Workspace) -> LocalLauncher:
    return LocalLauncher(workspace, this_machine(workspace))


@pytest.fixture
def folder(workspace: Workspace) -> RunFolder:
    made = workspace.run("run")
    made.root.mkdir()
    return made


def asked_for(folder: RunFolder, attempt: int, marks: Path, seconds: float = 0.3) -> None:
    """As far as a supervisor gets before there is a guard."""
    script = f"import time; open({str(marks)!r}, 'a').write('begun\\n'); time.sleep({seconds})"
    write_json(folder.launch, plain(LaunchRecord(attempt=attempt, argv=(sys.executable, "-c", script))))


def test_a_start_that_was_interrupted_is_no_fault_of_the_run(launcher: LocalLauncher, folder: RunFolder) -> None:
    assert launcher.standing(folder, 1) == Standing("taken", reason="its start was interrupted")


def test_what_was_asked_for_is_started_once_however_many_supervisors_die(
    launcher: LocalLauncher, workspace: Workspace, folder: RunFolder, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    asked_for(folder, 2, marks)
    successors = [launcher, *(LocalLauncher(workspace, this_machine(workspace)) for _ in range(3))]
    assert {one.standing(folder, 2).stage for one in successors} <= {"starting", "running"}
    wait_until(lambda: launcher.standing(folder, 2).stage == "ended", 20)
    ended = launcher.standing(folder, 2).exit
    assert ended is not None
    assert (ended.attempt, ended.returncode) == (2, 0)
    assert marks.read_text() == "begun\n"


def test_a_guard_that_is_gone_has_lost_its_run_unless_the_machine_was_started_anew(
    launcher: LocalLauncher, folder: RunFolder, tmp_path: Path
) -> None:
    asked_for(folder, 1, tmp_path / "marks", seconds=60)
    assert launcher.standing(folder, 1).stage == "starting"
    wait_until(lambda: launcher.standing(folder, 1).stage == "running", 20)
    owner = read_record(GuardRecord, folder.guard)
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    os.waitpid(owner.pid, 0)
    assert launcher.standing(folder, 1) == Standing("lost")
    write_json(folder.guard, plain(owner) | {"boot_id": "another"})
    assert launcher.standing(folder, 1) == Standing("taken", reason="this machine was started anew")
