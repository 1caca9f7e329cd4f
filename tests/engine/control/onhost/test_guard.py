"""The guard, with small programs in place of training: endings, signals, deaths."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.control.onhost import guard
from engine.control.onhost.guard import start_ticks
from tests.conftest import wait_until


class Guarded:
    """A folder with a program to run under a guard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, program: str, **launch: Any) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", program]
        (self.folder / "launch.json").write_text(json.dumps({"attempt": 1, "argv": argv, **launch}))
        return subprocess.Popen([sys.executable, "-I", guard.__file__, str(self.folder)], start_new_session=True)

    def identity(self) -> dict[str, Any]:
        wait_until((self.folder / "guard.json").exists, 20)
        return dict(json.loads((self.folder / "guard.json").read_text()))

    def exit(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "exit.json").read_text()))

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()


def is_alive(identity: dict[str, Any]) -> bool:
    return guard.is_alive(identity["pid"], identity["start_ticks"], identity["boot_id"])


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


def test_an_ending_is_recorded_with_its_code_and_last_words(guarded: Guarded) -> None:
    assert guarded.start("import sys; print('first'); sys.exit('the last words')").wait(20) == 0
    ending = guarded.exit()
    assert (ending["attempt"], ending["returncode"], ending["signal"]) == (1, 1, None)
    assert ending["reason"] == "the last words"
    assert ending["ended_s"] >= ending["started_s"]
    assert ending["max_rss_bytes"] > 1e6
    assert sorted(guarded.log().splitlines()) == ["first", "the last words"]
    assert not is_alive(guarded.identity())


def test_environment_and_folder_are_those_asked_for(guarded: Guarded, tmp_path: Path) -> None:
    program = "import os; print(os.environ['WHERE'], os.getcwd())"
    guarded.start(program, env={"WHERE": "here"}, cwd=str(tmp_path)).wait(20)
    assert guarded.log().strip() == f"here {tmp_path}"


def test_a_program_that_is_not_there_is_an_ending_too(guarded: Guarded) -> None:
    (guarded.folder / "launch.json").write_text(json.dumps({"attempt": 3, "argv": ["/no/such/program"]}))
    subprocess.run([sys.executable, "-I", guard.__file__, str(guarded.folder)], check=True)
    assert guarded.exit()["returncode"] == 1
    assert "No such file" in guarded.exit()["reason"]


def test_a_signal_is_named(guarded: Guarded) -> None:
    guarded.start("import os; os.kill(os.getpid(), 9)").wait(20)
    assert (guarded.exit()["returncode"], guarded.exit()["signal"]) == (None, "SIGKILL")


TREE = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_request_to_stop_is_passed_on_and_children_go_too(guarded: Guarded) -> None:
    process = guarded.start(TREE)
    wait_until(lambda: guarded.folder.joinpath("log.txt").exists() and guarded.log().strip(), 20)
    os.kill(guarded.identity()["pid"], signal.SIGTERM)
    process.wait(20)
    ending = guarded.exit()
    assert (ending["returncode"], ending["stopped"]) == (75, True)
    grandchild = int(guarded.log())
    wait_until(lambda: start_ticks(grandchild) is None, 5)


def test_a_program_that_will_not_stop_is_killed(guarded: Guarded) -> None:
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    # The grace time is a minute: here half a second, in the guard's own process.
    argv = [sys.executable, "-c", program]
    (guarded.folder / "launch.json").write_text(json.dumps({"attempt": 1, "argv": argv}))
    code = "from engine.control.onhost import guard; guard.GRACE_S = 1; "
    code += f"raise SystemExit(guard.guard({str(guarded.folder)!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    wait_until(lambda: guarded.folder.joinpath("log.txt").exists() and guarded.log().strip(), 20)
    process.terminate()
    process.wait(20)
    assert (guarded.exit()["signal"], guarded.exit()["stopped"]) == ("SIGKILL", True)


def test_a_run_does_not_outlive_its_guard(guarded: Guarded) -> None:
    process = guarded.start("import time; time.sleep(60)")
    identity = guarded.identity()
    assert is_alive(identity)
    child = psutil.Process(identity["child_pid"])
    process.kill()
    process.wait()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5)
    assert not is_alive(identity)
    assert not (guarded.folder / "exit.json").exists()


def test_a_second_guard_leaves_at_once(guarded: Guarded) -> None:
    first = guarded.start("import time; time.sleep(60)")
    guarded.identity()
    started = time.monotonic()
    second = subprocess.run([sys.executable, "-I", guard.__file__, str(guarded.folder)], check=False)
    assert second.returncode == 3
    assert time.monotonic() - started < 20
    first.terminate()
    first.wait(20)


def test_a_hang_up_of_the_terminal_ends_nothing(guarded: Guarded) -> None:
    process = guarded.start("import time; time.sleep(0.5); print('went on')")
    guarded.identity()
    process.send_signal(signal.SIGHUP)
    process.wait(20)
    assert guarded.exit()["returncode"] == 0
    assert guarded.log().strip() == "went on"


def test_pids_that_came_round_again_are_not_mistaken() -> None:
    own = {"pid": os.getpid(), "start_ticks": start_ticks(os.getpid()), "boot_id": guard.boot_id()}
    assert is_alive(own)
    assert not is_alive(own | {"start_ticks": 1})
    assert not is_alive(own | {"boot_id": "before the last boot"})
    assert start_ticks(2**22 + 5) is None
