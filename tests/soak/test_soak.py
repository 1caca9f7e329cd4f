"""A little of the soak in each of its modes. For longer: `--soak-seconds 600 --soak-seed 0 -s`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, in_full_disk
from tests.hosts import need

DISK = "300m,nr_inodes=20000"
_TO_COME_TO_AN_END_S = 480.0


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("mode", ["local", "ssh"])
def test_sweeps_under_fire_come_to_the_same_numbers_and_leave_nothing(
    mode: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seconds = float(pytestconfig.getoption("--soak-seconds"))
    seed = int(pytestconfig.getoption("--soak-seed")) or time.time_ns() % 10**6
    argv = [sys.executable, "-m", "tests.soak.soak", mode, str(seconds), str(seed)]
    limit_s = seconds + _TO_COME_TO_AN_END_S
    if mode == "ssh":
        need("ssh", "sshd", "rsync")
        done = subprocess.run(
            [*argv, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, check=False, timeout=limit_s
        )
    else:
        folder = tmp_path / "disk"
        folder.mkdir()
        os.environ["PYTHONPATH"] = str(ROOT)
        done = in_full_disk(folder, DISK, [*argv, str(folder)], limit_s)
    print(f"seed {seed}: {done.stdout}")
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
    report = json.loads(done.stdout)
    wrong = {key: report[key] for key in ("failed", "untrue", "processes_left", "files_left") if report[key]}
    assert not wrong, f"seed {seed}: {wrong}"
    assert report["num_faults"] > 0
