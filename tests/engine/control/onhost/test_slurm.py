"""Slurm, on a real cluster of two nodes: what the agent submits, sees and ends; a sweep that much happens to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.control.hosts.doctor import check_host
from engine.control.transport.base import Acknowledged, Hello, JobReport, PollAnswer, StartAnswer
from engine.control.transport.local_process import LocalProcess
from engine.errors import LaunchError
from engine.records.hosts import Host
from engine.records.processes import ExitRecord
from engine.records.states import RunState, RunStatus
from engine.records.workspace import Workspace, read_json
from tests.cluster import Cluster, cluster
from tests.conftest import CommandLine, wait_until
from tests.engine.control.test_supervisor import outcome, results, state_of
from tests.hosts import Farm

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]
ECHO = "import sys, time; print('one', flush=True); time.sleep(float(sys.argv[1])); print('two')"


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    with cluster() as found:
        yield found


@pytest.fixture
def slurm_env(slurm: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, which Slurm's commands find."""
    for name, value in slurm.env.items():
        monkeypatch.setenv(name, value)
    return slurm


@pytest.fixture
def way(slurm_env: Cluster, tmp_path: Path) -> Iterator[LocalProcess]:
    """The agent of a login node that is this machine."""
    found = LocalProcess(Host(name="cluster", kind="slurm", workspace=str(tmp_path / "there"), python=sys.executable))
    found.ask("hello", Hello)
    yield found
    subprocess.run(["scancel", "--me"], check=True)
    wait_until(lambda: not slurm_env.queue(), 60)


def jobs(*names: str, seconds: float = 0.0) -> dict[str, Any]:
    return {
        f"runs/{name}": {"launch": {"attempt": 1, "argv": ["-c", ECHO, str(seconds)], "env": {}, "cwd": "/"}}
        for name in names
    }


def start(way: LocalProcess, *names: str, seconds: float = 0.0, setup: str = "") -> dict[str, str]:
    settings = {"options": [], "setup": setup}
    return way.ask("start", StartAnswer, jobs=jobs(*names, seconds=seconds), slurm=settings).jobs


def poll(way: LocalProcess, name: str) -> JobReport:
    asked = {f"runs/{name}": {"attempt": 1, "offsets": {"log.txt": 0}, "files": []}}
    return way.ask("poll", PollAnswer, jobs=asked, limit_bytes=10_000).jobs[f"runs/{name}"]


def ending(way: LocalProcess, name: str) -> ExitRecord:
    found = poll(way, name).exit
    assert found is not None
    return found


def test_a_cluster_is_found_fit(way: LocalProcess) -> None:
    findings = {f.name: f for f in check_host(way.host)}
    assert findings["Slurm"].right
    assert "high, low" in findings["Slurm"].words


def test_guards_are_one_array_and_are_submitted_once(way: LocalProcess, slurm: Cluster) -> None:
    assert set(start(way, "a", "b", "c", seconds=3).values()) == {"started"}
    assert set(start(way, "a", "b", "c", seconds=3).values()) == {"already"}
    assert len(slurm.queue()) == 3
    assert {
        json.loads(p.read_text())["job"].partition("_")[0] for p in Path(way.host.workspace).glob("runs/*/slurm.json")
    }
    wait_until(lambda: {poll(way, n).standing for n in "abc"} == {"running", "waiting"}, 20)  # two nodes for three
    wait_until(lambda: all(poll(way, n).standing == "ended" for n in "abc"), 40)
    assert ending(way, "c").returncode == 0


def test_submitted_and_killed_before_it_could_be_put_down_it_is_found_again(way: LocalProcess, slurm: Cluster) -> None:
    start(way, "a", seconds=60)
    start(way, "b", seconds=60)
    for path in Path(way.host.workspace).glob("runs/*/*.json"):
        if path.name in ("slurm.json", "guard.json"):
            path.unlink()
    start(way, "a", "b", seconds=60)
    assert len(slurm.queue()) == 2


def test_jobs_are_ended_before_and_after_they_begin(way: LocalProcess, slurm: Cluster) -> None:
    start(way, "a", "b", "c", seconds=60)
    wait_until(lambda: sorted(poll(way, n).standing for n in "abc") == ["running", "running", "waiting"], 20)
    wait_until(lambda: len(list(Path(way.host.workspace).glob("runs/*/guard.json"))) == 2, 20)
    way.ask("stop", Acknowledged, attempts=dict.fromkeys(("runs/a", "runs/b", "runs/c"), 1))
    wait_until(lambda: all(poll(way, n).standing == "ended" for n in "abc"), 30)
    reasons = sorted(ending(way, n).reason for n in "abc")
    assert "it had not begun" in reasons
    assert all(ending(way, n).stopped for n in "abc")
    wait_until(lambda: not slurm.queue(), 30)


def test_a_job_whose_guard_does_not_come_up_says_why(way: LocalProcess) -> None:
    start(way, "a", setup="echo this machine is broken; exit 7")
    wait_until(lambda: poll(way, "a").standing == "lost", 40)
    assert "this machine is broken" in poll(way, "a").reason


def test_a_controller_that_does_not_answer_is_no_end(way: LocalProcess, slurm: Cluster) -> None:
    start(way, "a", seconds=30)
    wait_until(lambda: poll(way, "a").standing == "running", 20)
    slurm.stop_controller()
    try:
        with pytest.raises(LaunchError, match="Slurm"):
            poll(way, "a")
    finally:
        slurm.start_controller()
    wait_until(lambda: _asked(way, "a") == "running", 30)


def _asked(way: LocalProcess, name: str) -> str:
    try:
        return poll(way, name).standing
    except LaunchError:
        return "no answer"


def hosts_toml(workspace: Workspace, folder: Path, **fields: Any) -> None:
    lines = ['kind = "slurm"', f'workspace = "{folder}"', f'python = "{sys.executable}"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    workspace.create()
    (workspace.root / "hosts.toml").write_text("[cluster]\n" + "\n".join(lines) + "\n")


@pytest.mark.timeout(1500)
def test_a_sweep_that_everything_happens_to_gives_the_local_numbers(
    slurm_env: Cluster, kitui: CommandLine, write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    """40 cells in arrays: one cancelled and retried, a preemption, a node that goes down and comes back, a controller
    that is started again. All cells are done in the end, with the numbers of this machine, and none is in the queue."""
    slurm = slurm_env
    path = write_sweep(infusion_frequency="[0, 2, 4, 8, 12]", seed="[0, 1, 2, 3]")
    local = CommandLine(tmp_path / "local")
    local.folder.mkdir()
    assert local("launch", path, "--watch", timeout=600).returncode == 0

    hosts_toml(kitui.workspace, tmp_path / "there", jobs=20)
    assert kitui("launch", path, "--host", "cluster").returncode == 0
    watching = subprocess.Popen(
        [sys.executable, "-m", "kitui", "watch", "sweep"], env=kitui.environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def row() -> Any:
        return kitui.json("status")["sweeps"][0]

    wait_until(lambda: row()["running"] >= 1, 60, row)
    wrong_s = shown_beside_slurm(kitui, slurm, 15)
    waiting = [name for name, run in state_of(kitui.workspace).runs.items() if run.waiting]
    assert kitui("cancel", waiting[-1]).returncode == 0
    wait_until(lambda: row()["cancelled"] == 1, 30, row)
    assert kitui("retry", waiting[-1]).returncode == 0

    slurm.submit("-p", "high", "-N", "2", "--wrap", "sleep 5", "-o", "/dev/null")
    wait_until(lambda: "PREEMPTED" not in slurm.queue() and row()["running"] >= 1, 90, lambda: (row(), slurm.sinfo()))
    slurm.kill_node("n2")
    time.sleep(5)
    slurm.stop_controller()
    time.sleep(3)
    slurm.start_controller()
    time.sleep(20)
    slurm.start_node("n2")
    wait_until(lambda: row()["done"] == 40, 600, lambda: (row(), slurm.sinfo()))
    watching.wait(timeout=60)
    assert row()["alerts"] == []
    there, here = results(kitui.workspace), results(local.workspace)
    assert len(there) == 40
    assert {r: outcome(result) for r, result in there.items()} == {r: outcome(here[r]) for r in there}
    assert slurm.queue() == []
    assert wrong_s <= 10


def shown_beside_slurm(kitui: CommandLine, slurm: Cluster, seconds: float) -> float:
    """The longest time for which the shown number of running runs was not the cluster's."""
    longest = wrong_since = 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        shown = kitui.json("status")["sweeps"][0]["running"]
        there = sum(state in ("RUNNING", "COMPLETING") for state in slurm.queue())
        now = time.monotonic()
        wrong_since = 0.0 if shown == there else wrong_since or now
        longest = max(longest, now - wrong_since if wrong_since else 0.0)
    return longest


@pytest.mark.timeout(900)
def test_a_time_limit_is_a_checkpoint_and_another_job(
    slurm_env: Cluster, kitui: CommandLine, write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    """A run that takes longer than a job may: warned, it writes a checkpoint; another job goes on from there."""
    hosts_toml(kitui.workspace, tmp_path / "there", time="2", warn_s=40)
    path = write_sweep(model_size='["nano-7k"]', infusion_frequency="[4]", seed="[0]", num_tokens='["6M"]')
    assert kitui("launch", path, "--host", "cluster").returncode == 0
    wait_until(lambda: state_of(kitui.workspace).runs, 60)

    def run() -> RunState:
        return next(iter(state_of(kitui.workspace).runs.values()))

    wait_until(lambda: run().status is RunStatus.DONE, 800, run)
    assert run().attempt >= 2
    assert run().failures == 0
    metrics = kitui.workspace.run(run().name).metrics.read_text()
    assert '"resumed"' in metrics
    assert read_json(kitui.workspace.run(run().name).exit)["warned"] is False


@pytest.mark.timeout(600)
def test_runs_over_two_nodes_through_a_login_node(
    slurm: Cluster, machines: Farm, kitui: CommandLine, write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    """Slurm is reached by ssh alone; a run of two processes goes over both nodes, one of one process takes one. A run
    that is cancelled in the middle goes on by as many processes, from its checkpoint."""
    machines.start("login")
    setup = f"export SLURM_CONF={slurm.root / 'slurm.conf'}"
    hosts_toml(kitui.workspace, tmp_path / "there", ssh="login", setup=setup, jobs=4)
    path = write_sweep(model_size='["nano-3k", "nano-7k"]', infusion_frequency="[4]", seed="[0]", num_tokens='["200k"]')
    path.write_text(path.read_text() + '\n[execution]\nnum_processes = { "nano-7k" = 2 }\ndata_parallel = "fsdp"\n')
    local = CommandLine(tmp_path / "local")
    local.folder.mkdir()
    assert local("launch", path, "--watch", "--slots", "2", timeout=300).returncode == 0

    assert kitui("hosts", "check", "cluster").returncode == 0
    assert kitui("launch", path, "--host", "cluster").returncode == 0

    def runs() -> dict[str, RunState]:
        return {name.rpartition("-f")[0]: run for name, run in state_of(kitui.workspace).runs.items()}

    def wide_steps() -> int:
        return kitui.workspace.run(runs()["nano-7k"].name).metrics.read_text().count('"step"')

    wait_until(lambda: runs() and kitui.workspace.run(runs()["nano-7k"].name).metrics.exists(), 120, slurm.sinfo)
    wait_until(lambda: wide_steps() > 5, 120, slurm.sinfo)
    assert slurm.nodes_of_largest_job() == 2
    name = runs()["nano-7k"].name
    assert kitui("cancel", name).returncode == 0
    wait_until(lambda: runs()["nano-7k"].status is RunStatus.CANCELLED, 90, lambda: (runs(), slurm.sinfo()))
    assert kitui("retry", name).returncode == 0
    wait_until(
        lambda: {run.status for run in runs().values()} == {RunStatus.DONE}, 240, lambda: (runs(), slurm.sinfo())
    )
    there, here = results(kitui.workspace), results(local.workspace)
    executed = {run_id.rpartition("-f")[0]: result.execution for run_id, result in there.items()}
    assert {size: execution.num_processes for size, execution in executed.items()} == {"nano-3k": 1, "nano-7k": 2}
    assert '"resumed"' in kitui.workspace.run(name).metrics.read_text()
    for run_id, result in there.items():
        assert result.background_loss == pytest.approx(here[run_id].background_loss, rel=1e-3)
        assert result.exposures == here[run_id].exposures
    wait_until(lambda: not slurm.queue(), 30, slurm.sinfo)


@pytest.mark.timeout(400)
def test_runs_that_wait_in_a_queue_go_where_there_is_room(
    slurm_env: Cluster, kitui: CommandLine, write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    """A cluster that somebody else has all of: what was submitted there ends up on this machine, which has room."""
    slurm = slurm_env
    hog = slurm.submit("-p", "high", "-N", "2", "--wrap", "sleep 390", "-o", "/dev/null")
    wait_until(lambda: slurm.queue() == ["RUNNING"], 30, slurm.sinfo)
    hosts_toml(kitui.workspace, tmp_path / "there", jobs=20)
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[0, 4, 8]", seed="[0, 1]")
    assert kitui("launch", path, "--host", "cluster", "--host", "local").returncode == 0

    def row() -> Any:
        return kitui.json("status")["sweeps"][0]

    wait_until(lambda: row()["done"] == 6, 300, lambda: (row(), slurm.sinfo()))
    assert {run.host for run in state_of(kitui.workspace).runs.values()} == {"local"}
    assert any(run.attempt == 2 for run in state_of(kitui.workspace).runs.values())  # it did wait there first
    assert slurm.queue() == ["RUNNING"]
    subprocess.run(["scancel", hog], check=True)
