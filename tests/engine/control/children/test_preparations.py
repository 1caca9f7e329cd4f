"""Token files are made once, and each attempt's ending is its own."""

from __future__ import annotations

import os
import signal
import time

from engine.control.children.preparations import Ending, Preparations
from engine.corpus.prepare import plan
from engine.records.record import encoded
from engine.records.workspace import Workspace, write_atomically
from tests.conftest import SAMPLES, prepare, wait_until


def test_what_a_supervisor_before_has_made_is_not_made_again(workspace: Workspace) -> None:
    asked_ms = time.time_ns() // 1_000_000
    prepare(SAMPLES / "smoke.toml", workspace)
    before = Preparations(workspace)
    before.keep("smoke", asked_ms)
    wait_until(lambda: before.ending("smoke"), 60)
    made = workspace.sweep("smoke").plan.stat().st_mtime_ns
    preparations = Preparations(workspace)
    preparations.keep("smoke", asked_ms)
    assert preparations.ending("smoke") == Ending(asked_ms, "")
    assert workspace.sweep("smoke").plan.stat().st_mtime_ns == made

    back_ms = asked_ms - 36_000_000  # asked for again since, by a clock that was set back
    preparations.keep("smoke", back_ms)
    assert preparations.ending("smoke") is None
    wait_until(lambda: preparations.ending("smoke"), 60)
    assert preparations.ending("smoke") == Ending(back_ms, "")
    assert workspace.sweep("smoke").plan.stat().st_mtime_ns > made


def test_a_plan_without_its_token_files_is_not_made(workspace: Workspace) -> None:
    bundle = plan(SAMPLES / "smoke.toml", workspace)
    folder = workspace.sweep("smoke")
    folder.root.mkdir(parents=True)
    write_atomically(folder.plan, encoded(bundle.plan))  # as another host has made it
    preparations = Preparations(workspace)
    preparations.keep("smoke", 1)
    assert preparations.ending("smoke") is None
    wait_until(lambda: preparations.ending("smoke"), 60)
    ending = preparations.ending("smoke")
    assert ending is not None
    assert "there is no launched sweep in this folder" in ending.fault


def test_an_attempt_that_is_asked_for_while_one_goes_on_takes_its_place(workspace: Workspace) -> None:
    folder = workspace.sweep("smoke")
    folder.root.mkdir(parents=True)
    preparations = Preparations(workspace)
    preparations.keep("smoke", 5)
    preparations.keep("smoke", 6)
    wait_until(lambda: preparations.ending("smoke"), 60)
    ending = preparations.ending("smoke")
    assert ending is not None
    assert ending.attempt == 6


def test_one_that_is_killed_is_started_again_a_few_times(workspace: Workspace) -> None:
    folder = workspace.sweep("smoke")
    folder.root.mkdir(parents=True)
    preparations, pids = Preparations(workspace), []
    while (ending := preparations.ending("smoke")) is None:
        preparations.keep("smoke", 5)
        (_, child) = preparations._running["smoke"]
        if child._process.pid not in pids:
            pids.append(child._process.pid)
            os.kill(child._process.pid, signal.SIGKILL)
        time.sleep(0.05)
    assert len(pids) == 3
    assert "code -9" in ending.fault
    preparations.keep("smoke", 6)  # asked for again: it may be killed as often
    os.kill(preparations._running["smoke"][1]._process.pid, signal.SIGKILL)
    preparations._running["smoke"][1]._process.wait()
    assert preparations.ending("smoke") is None
    preparations.drop("smoke")
