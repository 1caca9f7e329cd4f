"""Every measurement in tests/bench starts, for one tiny round: its figures mean nothing here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.hosts import need

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def measured(module: str, *arguments: object) -> str:
    argv = [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_calibration() -> None:
    assert measured("calibration", "curves", "--draws", 2).count("| double logistic |") == 7
    assert "| flat |" in measured("calibration", "falls", "--draws", 2)
    assert "| bounded | 8 |" in measured("calibration", "laws", "--draws", 1)
    assert "| step |" in measured("calibration", "acquired", "--draws", 2)
    assert "| mechanism | 8 |" in measured("calibration", "effects", "--draws", 2)


def test_analysis() -> None:
    assert "200 curves" in measured("analysis")


def test_memory() -> None:
    assert "| gpt2 | fp32 | 32" in measured("memory", "--architectures", "gpt2")


def test_contamination() -> None:
    assert "2,000,000 tokens in" in measured("contamination", "--tokens", "2M")


def test_background() -> None:
    assert '"tokens_kept_of_the_killed"' in measured("background", "--bytes", "2M", "--kill-after", 1)


def test_digests() -> None:
    assert '"share":' in measured("digests")


def test_hosts() -> None:
    need("ssh", "sshd", "rsync")
    said = measured("hosts", "--hosts", 1, "--runs", 2, "--seconds", 6, "--settle-s", 4)
    assert re.search(r"one poll: median \d+ ms", said)


def test_ranks() -> None:
    said = measured("ranks", "--tokens", 5120, "--speed-tokens", "8k")
    assert said.count("largest relative difference") == 4
    assert said.count("tokens/s") == 3


def test_state() -> None:
    said = measured("state", "--runs", 20, "--guards", 2, "--rounds", 2)
    assert '"guards_adopted": 2' in said


def test_throughput() -> None:
    assert '"kitui / trainer+malloc"' in measured("throughput", "--rounds", 1, "--tokens", "20k")


def test_the_app(tmp_path: Path) -> None:
    measured("tui.workspace", tmp_path / "workspace", "--runs", 400, "--lines", 20)
    said = measured("tui.measure", tmp_path / "workspace", "--rounds", 1, "--seconds", 1)
    rows = dict(re.findall(r"^\| (\w+) \| (.+) \|$", said, re.MULTILINE))
    assert float(rows["ready_s"]) > 0
    assert "ms" in rows["move"]
