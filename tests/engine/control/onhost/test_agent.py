"""The agent, run as a host runs it: a request in, an answer out."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from engine.control.onhost import agent
from tests.conftest import wait_until

ECHO = "import sys, time; print('one', flush=True); time.sleep(float(sys.argv[1])); print('two')"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    ask(folder, "hello")
    return folder


def ask(root: Path, verb: str, **details: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, agent.__file__, str(root), "nonce"],
        input=json.dumps({"do": verb, **details}).encode(), capture_output=True, check=True,
    )  # fmt: skip
    line = done.stdout.decode().strip()
    assert line.startswith("nonce ")
    return dict(json.loads(line.removeprefix("nonce ")))


def job(*arguments: str, attempt: int = 1) -> dict[str, Any]:
    return {"launch": {"attempt": attempt, "argv": ["-c", ECHO, *arguments], "env": {}, "cwd": "/"}}


def poll(root: Path, offset: int = 0, attempt: int = 1, limit: int = 10_000, files: tuple[str, ...] = ()) -> Any:
    asked = {"attempt": attempt, "offsets": {"log.txt": offset}, "files": files}
    return ask(root, "poll", jobs={"runs/a": asked}, limit_bytes=limit)["jobs"]["runs/a"]


def unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def test_it_says_what_kind_of_host_this_is(root: Path) -> None:
    there = ask(root, "hello", modules=True)
    assert there["workspace"] == str(root)
    assert tuple(there["python"]) == sys.version_info[:3]
    assert there["missing"] == []
    assert abs(there["time_s"] - time.time()) < 30
    assert root.stat().st_mode & 0o077 == 0


def test_a_job_is_started_once_and_told_from_any_offset(root: Path) -> None:
    assert ask(root, "start", jobs={"runs/a": job("0.5")}) == {"jobs": {"runs/a": "started"}}
    wait_until(lambda: poll(root)["standing"] == "running", 10)
    assert ask(root, "start", jobs={"runs/a": job("0.5")}) == {"jobs": {"runs/a": "already"}}
    wait_until(lambda: poll(root)["standing"] == "ended", 10)
    told = poll(root, offset=2)
    assert told["exit"]["returncode"] == 0
    assert unpacked(told["tails"]["log.txt"]) == b"e\ntwo\n"
    assert ask(root, "start", jobs={"runs/a": job("0.5")}) == {"jobs": {"runs/a": "already"}}


def test_an_ending_is_told_after_everything_before_it(root: Path) -> None:
    ask(root, "start", jobs={"runs/a": job("0")})
    wait_until(lambda: poll(root)["standing"] == "ended", 10)
    (root / "runs/a/result-x.json").write_text("{}")
    told = poll(root, limit=3, files=("result-*.json",))
    assert (told["standing"], unpacked(told["tails"]["log.txt"])) == ("running", b"one")
    assert "exit" not in told
    told = poll(root, offset=3, files=("result-*.json",))
    assert told["standing"] == "ended"
    assert unpacked(told["files"]["result-x.json"]) == b"{}"


def test_a_job_that_was_never_asked_for_is_absent(root: Path) -> None:
    assert poll(root)["standing"] == "absent"
    ask(root, "start", jobs={"runs/a": job("0")})
    assert poll(root, attempt=2)["standing"] == "absent"


def test_a_guard_that_is_killed_leaves_its_job_lost(root: Path) -> None:
    ask(root, "start", jobs={"runs/a": job("60")})
    wait_until(lambda: (root / "runs/a/guard.json").exists(), 10)
    identity = json.loads((root / "runs/a/guard.json").read_text())
    subprocess.run(["kill", "-9", str(identity["pid"])], check=True)
    wait_until(lambda: poll(root)["standing"] == "lost", 10)
    wait_until(lambda: subprocess.run(["kill", "-0", str(identity["child_pid"])], capture_output=True).returncode, 10)


def test_another_launch_of_the_same_attempt_is_another_job(root: Path) -> None:
    """A run that was deleted begins at attempt 1 again: what it left behind is not taken for the new one's."""
    ask(root, "start", jobs={"runs/a": job("0")})
    wait_until(lambda: poll(root)["standing"] == "ended", 10)
    again = job("60")
    again["launch"]["id"] = "another"
    assert ask(root, "start", jobs={"runs/a": again}) == {"jobs": {"runs/a": "started"}}
    wait_until(lambda: poll(root)["standing"] == "running", 10)
    third = job("0", attempt=2)
    third["launch"]["id"] = "a third"
    assert ask(root, "start", jobs={"runs/a": third}) == {"jobs": {"runs/a": "busy"}}  # the one before is being ended
    wait_until(lambda: ask(root, "start", jobs={"runs/a": third}) == {"jobs": {"runs/a": "started"}}, 20)
    wait_until(lambda: poll(root, attempt=2)["standing"] == "ended", 10)


def test_a_workspace_of_kituis_own_is_no_hosts_workspace(root: Path) -> None:
    (root / "state.json").write_text("{}")
    assert "workspace of its own" in ask(root, "hello")["error"]


def test_a_job_is_asked_to_end(root: Path) -> None:
    ask(root, "start", jobs={"runs/a": job("60")})
    wait_until(lambda: poll(root)["standing"] == "running", 10)
    ask(root, "stop", attempts={"runs/a": 1, "runs/never": 1})
    wait_until(lambda: poll(root)["standing"] == "ended", 10)
    assert poll(root)["exit"]["signal"] == "SIGTERM"


def test_nothing_outside_of_the_workspace_is_touched(root: Path) -> None:
    content = base64.b64encode(zlib.compress(b"x")).decode()
    assert "not below the workspace" in ask(root, "put", files={"../outside": content})["error"]
    assert not (root.parent / "outside").exists()
    assert "not below the workspace" in ask(root, "start", jobs={"/etc": job("0")})["error"]
    ask(root, "put", files={"facts/a.json": content})
    assert (root / "facts/a.json").read_bytes() == b"x"


def test_token_files_may_lie_on_another_disk(tmp_path: Path) -> None:
    root, shared = tmp_path / "there", tmp_path / "disk" / "tokens"
    assert "error" not in ask(root, "hello", tokens=str(shared))
    assert (root / "tokens").resolve() == shared
    (shared / "abc").mkdir()
    ask(root, "hello", tokens=str(shared))
    ask(root, "remove", names=["tokens/abc"])
    assert (shared / "abc").is_dir()  # others may use it
    other = tmp_path / "other"
    ask(root, "hello", tokens=str(other))
    assert (root / "tokens").resolve() == other
    (tmp_path / "full" / "tokens" / "abc").mkdir(parents=True)
    assert f"Move them to {shared}" in ask(tmp_path / "full", "hello", tokens=str(shared))["error"]


def test_what_deleted_sweeps_left_is_removed_and_nothing_else(root: Path) -> None:
    ask(root, "start", jobs={"runs/a": job("60"), "runs/b": job("0")})
    wait_until(lambda: (root / "runs/a/guard.json").exists() and (root / "runs/b/exit.json").exists(), 10)
    (root / "tokens" / "abc").mkdir()
    (root / "code" / "x").mkdir(parents=True)
    ask(root, "remove", names=["runs/a", "runs/b", "runs/never", "tokens/abc", "code/x"])
    assert (root / "runs/a").exists()  # it still runs
    assert not (root / "runs/b").exists()
    assert not (root / "tokens/abc").exists()
    assert (root / "code/x").exists()
    assert "not below" in ask(root, "remove", names=["../runs"])["error"]
    ask(root, "stop", attempts={"runs/a": 1})
    wait_until(lambda: (root / "runs/a/exit.json").exists(), 10)
