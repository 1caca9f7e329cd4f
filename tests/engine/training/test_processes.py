"""Runs of several processes as kitui starts them: whichever ends how, none is left behind, and the end is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from engine.errors import STOPPED_AFTER_CHECKPOINT
from engine.records.metrics import read_metrics
from engine.records.results import read_result
from engine.records.workspace import RunFolder
from tests.conftest import wait_until
from tests.engine.training.conftest import Lab


def start(folder: RunFolder, attempt: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "engine.training.processes", "2", str(folder.root), "--attempt", str(attempt)]
    with (folder.root / "log.txt").open("ab") as log:
        return subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True, cwd="/", env=environment())


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}


def trains(folder: RunFolder, attempt: int) -> None:
    wait_until(lambda: sum(r.attempt == attempt for r in read_metrics(folder.metrics)) > 3, 90)


def ranks_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    ranks = psutil.Process(process.pid).children()
    assert len(ranks) == 2
    return ranks


@pytest.mark.slow
def test_none_is_left_whichever_ends_how(lab_of: object) -> None:
    lab = lab_of(num_tokens='["60k"]', prior_rate="1000")
    spec = lab.spec(data_parallel="fsdp", checkpoint_every_s=0.5)
    folder = lab.folder("run", spec)

    first = start(folder, 1)
    trains(folder, 1)
    ranks = ranks_of(first)
    ranks[1].kill()  # as a kernel out of memory does
    assert first.wait(30) == -signal.SIGKILL
    psutil.wait_procs(ranks, timeout=10)
    assert not any(rank.is_running() for rank in ranks)

    second = start(folder, 2)
    trains(folder, 2)
    ranks = ranks_of(second)
    os.killpg(second.pid, signal.SIGTERM)  # as a guard does
    assert second.wait(30) == STOPPED_AFTER_CHECKPOINT
    assert not any(rank.is_running() for rank in ranks)
    assert folder.latest.exists()

    third = start(folder, 3)
    trains(folder, 3)
    ranks = ranks_of(third)
    third.kill()
    third.wait()
    psutil.wait_procs(ranks, timeout=10)
    assert not any(rank.is_running() for rank in ranks)

    result = lab.train("run", spec, attempt=4)  # by one process, from what the two have left
    assert result.exposures_as_planned
    whole = lab.train("whole", spec)
    assert abs(result.background_loss / whole.background_loss - 1) < 1e-3


@pytest.mark.slow
def test_the_first_fault_is_what_is_said_last(lab: Lab) -> None:
    spec = lab.spec()
    folder = lab.folder("broken", spec.model_copy(update={"init_from": "/nowhere"}))
    process = start(folder, 1)
    assert process.wait(90) == 2
    last = (folder.root / "log.txt").read_text().strip().splitlines()[-1]
    assert last.startswith("error: training.init_from = '/nowhere': this checkpoint cannot be loaded")
    assert read_result(folder.result(spec.evaluation_id)) is None


@pytest.mark.slow
def test_torchrun_can_start_a_run_too(lab: Lab) -> None:
    spec = lab.spec()
    folder = lab.folder("run", spec)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    argv = [*torchrun, "-m", "engine.training.run", str(folder.root)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/", env=environment(), timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result = read_result(folder.result(spec.evaluation_id))
    assert result is not None
    assert result.execution.num_processes == 2
    assert result.exposures_as_planned
