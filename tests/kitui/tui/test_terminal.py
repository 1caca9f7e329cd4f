"""The app on a real pseudo-terminal: what ends it, what must not, and what a wild user does to it."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.control.ledger.state_file import AtomicStorage
from engine.records.workspace import Workspace
from tests.conftest import wait_until
from tests.kitui.conftest import held_workspace
from tests.kitui.tui.terminal import Terminal

APP = [sys.executable, "-m", "kitui"]
KEYS = [
    *"134goOiatsvbpucynrl?/xmY0+-=kjGdDA",
    "\x1b", "\r", "\t", " ", "\x7f", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[5~", "\x1b[6~", "\x1b[H", "\x1b[F",
    "\x1bOQ", "\x1bOR", "\x10", "\x1b[<64;30;10M", "\x1b[<0;20;5M", "\x1b[<0;20;5m", "é", "漢",
]  # fmt: skip


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Of this module's own: keys at random command it."""
    with held_workspace(tmp_path_factory.mktemp("staged")) as workspace:
        yield workspace


def environment(workspace: Workspace, folder: Path) -> dict[str, str]:
    own = {"KITUI_WORKSPACE": str(workspace.root), "XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return os.environ | own


def alive(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False


@pytest.mark.parametrize("how", ["plain", "nohup"])
def test_a_closed_terminal_ends_the_app_at_once(staged: Workspace, tmp_path: Path, how: str) -> None:
    """Also under nohup, which has the signal ignored: it must not go on reading a terminal that is gone."""
    argv = APP if how == "plain" else ["/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *APP]
    terminal = Terminal(argv, environment(staged, tmp_path), 120, 40)
    wait_until(lambda: "smoke" in terminal.text, 30, lambda: terminal.text)
    terminal.hang_up()
    wait_until(lambda: not alive(terminal.pid), 5)
    assert list(tmp_path.glob("kitui/seen/*.json"))  # this moment is the last that was seen


def test_the_terminal_is_called_when_a_sweep_has_ended(tmp_path: Path) -> None:
    with held_workspace(tmp_path / "workspace") as workspace:
        config = tmp_path / "kitui" / "config.toml"
        config.parent.mkdir()
        told = tmp_path / "told"
        config.write_text(f'on_end = "touch {told}"\n')
        with Terminal(APP, environment(workspace, tmp_path), 120, 40) as terminal:
            wait_until(lambda: "smoke" in terminal.text, 30, lambda: terminal.text)
            assert "\x1b]9;" not in terminal.written
            storage = AtomicStorage(workspace.state)  # as the supervisor would, which this process stands for
            content = storage.read() or {}
            for run in content["runs"].values():
                run["state"] = "cancelled" if run.get("state", "queued") in ("running", "queued") else run["state"]
            storage.write(content)
            storage.flush()
            wait_until(lambda: "\x1b]9;smoke ended: " in terminal.written, 20, lambda: terminal.text)
            assert "\x1b]777;notify;kitui;smoke ended: " in terminal.written
            wait_until(told.exists, 20)
            terminal.send("q")
            assert terminal.wait() == 0


def test_suspended_it_leaves_the_shell_and_comes_back(staged: Workspace, tmp_path: Path) -> None:
    env = environment(staged, tmp_path) | {"PS1": "prompt> "}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], env, 120, 40) as terminal:
        wait_until(lambda: "prompt>" in terminal.text, 30, lambda: terminal.text)
        terminal.send(f"{sys.executable} -m kitui\r")
        wait_until(lambda: "Monitor" in terminal.text and "smoke" in terminal.text, 30, lambda: terminal.text)
        terminal.send("\x1a")
        wait_until(lambda: "Stopped" in terminal.text, 10, lambda: terminal.text)
        assert terminal.written.count("\x1b[?1049l") == 1  # the alternate screen is left
        terminal.send("fg\r")
        wait_until(lambda: terminal.written.count("\x1b[?1049h") == 2, 10, lambda: terminal.text)
        terminal.send("3")
        wait_until(lambda: "nano-7k" in terminal.text, 10, lambda: terminal.text)
        terminal.send("q")
        wait_until(lambda: terminal.written.rstrip().endswith("prompt>"), 10, lambda: terminal.written[-500:])


def test_a_request_to_end_leaves_the_terminal_in_order(staged: Workspace, tmp_path: Path) -> None:
    with Terminal(APP, environment(staged, tmp_path), 120, 40) as terminal:
        wait_until(lambda: "smoke" in terminal.text, 30, lambda: terminal.text)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait() == 0
        assert "\x1b[?1049l" in terminal.written  # the alternate screen is left


def test_killed_and_opened_again_it_says_what_was_missed(staged: Workspace, tmp_path: Path) -> None:
    with Terminal(APP, environment(staged, tmp_path), 120, 40) as terminal:
        wait_until(lambda: "smoke" in terminal.text and list(tmp_path.glob("kitui/seen/*.json")), 30)
        os.kill(terminal.pid, signal.SIGKILL)
    with Terminal(APP, environment(staged, tmp_path), 80, 24) as terminal:
        wait_until(lambda: "smoke" in terminal.text, 30, lambda: terminal.text)
        terminal.send("q")
        assert terminal.wait() == 0


def test_several_viewers_at_once(staged: Workspace, tmp_path: Path) -> None:
    with (
        Terminal(APP, environment(staged, tmp_path), 120, 40) as first,
        Terminal([*APP, "--read-only"], environment(staged, tmp_path), 80, 24) as second,
    ):
        for terminal in (first, second):
            wait_until(lambda t=terminal: "smoke" in t.text, 30)
            terminal.send("3")
            wait_until(lambda t=terminal: "nano-7k" in t.text, 30, lambda t=terminal: t.text)
        assert "read-only" in second.text
        for terminal in (first, second):
            terminal.send("q")
            assert terminal.wait() == 0


def test_a_storm_of_sizes(staged: Workspace, tmp_path: Path) -> None:
    chance = random.Random(0)
    with Terminal(APP, environment(staged, tmp_path), 120, 40) as terminal:
        wait_until(lambda: "smoke" in terminal.text, 30)
        terminal.send("3")
        for _ in range(60):
            terminal.resize(chance.randint(1, 220), chance.randint(1, 70))
            time.sleep(0.02)
        terminal.resize(120, 40)
        wait_until(
            lambda: "Retention, overall" in terminal.text and "nano-7k" in terminal.text, 20, lambda: terminal.text
        )
        terminal.send("q")
        assert terminal.wait() == 0


@pytest.mark.slow
def test_two_thousand_random_keys(staged: Workspace, tmp_path: Path) -> None:
    chance = random.Random(1)
    with Terminal(APP, environment(staged, tmp_path), 100, 30) as terminal:
        wait_until(lambda: "smoke" in terminal.text, 30)
        for i in range(2000):
            terminal.send(chance.choice(KEYS))
            if i % 40 == 0:
                assert alive(terminal.pid), terminal.text
                time.sleep(0.05)
        time.sleep(1)
        assert alive(terminal.pid), terminal.text
        assert "Traceback" not in terminal.text


def test_copying_reaches_the_terminal_through_tmux(staged: Workspace, tmp_path: Path) -> None:
    """OSC 52 twice: for tmux itself, and in its envelope for the terminal behind it."""
    env = environment(staged, tmp_path) | {"TMUX": "/tmp/tmux-0/default,1,0"}
    with Terminal(APP, env, 120, 40) as terminal:
        wait_until(lambda: "smoke" in terminal.text, 30)
        terminal.send("y")
        wait_until(lambda: "\x1b]52;c;c21va2U=" in terminal.written, 10)
        assert "\x1bPtmux;\x1b\x1b]52;c;c21va2U=\a\x1b\\" in terminal.written
        terminal.send("q")
        assert terminal.wait() == 0


def test_without_a_terminal_it_says_how_it_is_used(tmp_path: Path) -> None:
    done = subprocess.run(APP, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, "Usage" in done.stdout) == (0, True)


def test_keys_that_come_at_once_do_what_they_do_one_by_one(staged: Workspace, tmp_path: Path) -> None:
    """Typed ahead, in one write: each is looked at where the one before has led."""
    with Terminal(APP, environment(staged, tmp_path), 120, 40) as terminal:
        wait_until(lambda: "smoke" in terminal.text, 30, lambda: terminal.text)
        terminal.send("3/seed=1 and frequency=4\r")
        wait_until(lambda: "2 of 12 runs" in terminal.text, 10, lambda: terminal.text)
        terminal.send("4t400k\t120k")
        wait_until(lambda: re.search(r"target N +400k +D +120k", terminal.text), 10, lambda: terminal.text)
        terminal.send("\x1b")
        time.sleep(0.3)  # an escape is one by the time that follows it
        terminal.send("2")
        wait_until(lambda: "sweep.toml" in terminal.text, 10, lambda: terminal.text)
        down = "\x1b[B"
        terminal.send(f"{down}{down}{down}\x1530k{down}{down}\x150,1")
        wait_until(lambda: re.search(r"budgets D +30k", terminal.text), 10, lambda: terminal.text)
        wait_until(lambda: re.search(r"seeds +0,1", terminal.text), 10, lambda: terminal.text)
