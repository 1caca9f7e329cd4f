"""What starts where, for real: runs that hold several slots, hosts that fail, are drained and reopened, caps."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.control.supervisor import Supervisor
from tests.conftest import CommandLine, Prepared, in_full_disk, wait_until
from tests.engine.control.test_supervisor import results, state_of
from tests.factory import make_run, make_sweep
from tests.hosts import Farm


def row(kitui: CommandLine) -> Any:
    return kitui.json("status")["sweeps"][0]


@pytest.mark.slow
def test_a_run_of_two_processes_holds_two_slots(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    path = write_sweep(model_size='["nano-3k", "nano-7k"]', infusion_frequency="[4]", seed="[0]")
    path.write_text(
        path.read_text() + '\n[execution]\nnum_processes = { "nano-7k" = 2 }\ndata_parallel = "fsdp"\nslots = 1\n'
    )
    done = kitui("launch", path, "--watch")
    assert done.returncode == 0, done.stderr
    found = results(kitui.workspace)
    by_size = {run_id.rpartition("-f")[0]: result.execution for run_id, result in found.items()}
    assert (by_size["nano-7k"].num_processes, by_size["nano-7k"].data_parallel) == (2, "fsdp")
    assert (by_size["nano-3k"].num_processes, by_size["nano-3k"].data_parallel) == (1, None)
    assert all(result.exposures_as_planned for result in found.values())
    wide = next(run for run in state_of(kitui.workspace).runs.values() if run.name.startswith("nano-7k"))
    assert wide.num_processes == 2
    seconds = by_size["nano-7k"].elapsed_s
    assert wide.used_s["local"] > 2 * seconds


def test_runs_that_no_host_has_slots_for_are_said_to_be_that(
    kitui: CommandLine, write_sweep: Callable[..., Path]
) -> None:
    too_many = len(os.sched_getaffinity(0)) + 1
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[4]", seed="[0]", batch_size=str(8 * too_many))
    path.write_text(path.read_text() + f"\n[execution]\nnum_processes = {too_many}\n")
    assert kitui("launch", path).returncode == 0
    words = f"runs of {too_many} processes: no host has so many slots"
    wait_until(lambda: words in row(kitui)["alerts"], 60, lambda: row(kitui))
    assert row(kitui)["queued"] == 1
    assert kitui("cancel", "sweep").returncode == 0
    assert words not in row(kitui)["alerts"]


@pytest.mark.slow
def test_a_sweep_takes_no_more_of_the_disk_than_it_may(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[4]", seed="[0]", num_tokens='["20k"]')
    text, plan = path.read_text(), kitui.json("plan", path)
    params = plan["models"][0]["num_params_total"]
    while_it_trains = 200_000 + 36 * params

    def launch(max_disk_bytes: int) -> str:
        path.write_text(text + f"\n[execution]\nmax_disk_bytes = {max_disk_bytes}\n")
        done = kitui("launch", path)
        return done.stderr if done.returncode else ""

    refused = launch(while_it_trains)  # beside what it will leave
    assert "execution.max_disk_bytes" in refused
    assert "it will not be launched" in " ".join(kitui.json("plan", path)["notes"])
    assert not launch(plan["disk_bytes"] + while_it_trains)
    wait_until(lambda: row(kitui)["done"] == 1, 60, lambda: row(kitui))
    (run,) = state_of(kitui.workspace).runs.values()
    assert 0 < run.kept_bytes < while_it_trains


def test_what_a_sweep_has_left_on_the_disk_counts_when_the_next_run_is_started(smoke: Prepared) -> None:
    """Without processes: what may be started where some runs have left much, and one of them goes on."""
    supervisor = Supervisor(smoke.workspace)
    ids = [run.run_id for run in smoke.bundle.runs[:3]]
    times = supervisor.bundles.run_times("smoke")
    most = max(map(times.training_disk_bytes, ids))
    supervisor.ledger.put_sweep(make_sweep(ids, "smoke", max_disk_bytes=2 * most))
    supervisor.ledger.put_run(make_run(ids[0], "done", kept_bytes=most + 2001))
    supervisor.ledger.put_run(make_run(ids[1], kept_bytes=1000))
    supervisor.ledger.put_run(make_run(ids[2]))
    dispatch = supervisor.dispatch
    dispatch._look_at_disks()
    sweep = supervisor.ledger.sweeps["smoke"]
    sizes = [times.training_disk_bytes(run_id) for run_id in ids[1:]]
    left = 2 * most - (most + 2001) - 1000
    assert [dispatch._fits_on_disk("smoke", run_id) for run_id in ids[1:]] == [
        sizes[0] <= left + 1000,
        sizes[1] <= left,
    ]
    supervisor.ledger.change_run(ids[0]).kept_bytes = 2 * most
    dispatch._look_at_disks()
    assert [dispatch._fits_on_disk("smoke", run_id) for run_id in ids[1:]] == [False, False]
    assert "another would take more" in sweep.disk_full
    supervisor.ledger.change_run(ids[0]).kept_bytes = 0
    dispatch._look_at_disks()
    assert [dispatch._fits_on_disk("smoke", run_id) for run_id in ids[1:]] == [True, True]
    assert sweep.disk_full == ""
    supervisor.ledger.close()


@pytest.mark.slow
def test_a_sweep_takes_no_more_hours_than_it_may(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[4]", seed="[0, 1, 2, 3]", num_tokens='["20k"]')
    text = path.read_text()
    path.write_text(text + "\n[execution]\nmax_gpu_hours = 1e-6\n")
    done = kitui("launch", path)
    assert done.returncode == 2
    assert "execution.max_gpu_hours" in done.stderr
    path.write_text(text)
    assert kitui("launch", path, "--cap", "all=1e-6").returncode == 0
    alert = "all hosts together: the cap of 1e-06 GPU-hours is used up; kitui cap sweep all=HOURS changes it"
    wait_until(lambda: alert in row(kitui)["alerts"], 60, lambda: row(kitui))
    assert row(kitui)["done"] < 4
    assert "cap on all: none" in kitui("cap", "sweep", "all=none").stderr
    wait_until(lambda: row(kitui)["done"] == 4, 60, lambda: row(kitui))


@pytest.mark.slow
def test_a_host_that_fails_is_set_aside_and_its_runs_go_elsewhere(
    machines: Farm, kitui: CommandLine, tmp_path: Path, write_sweep: Callable[..., Path]
) -> None:
    kitui.workspace.create()
    for name in ("h1", "h2"):
        machines.start(name)
    hosts = [machines.table(name, tmp_path / name, cores=1) for name in ("h1", "h2")]
    (kitui.workspace.root / "hosts.toml").write_text("".join(hosts))
    assert "nothing more is started there; 0 runs" in kitui("hosts", "drain", "h2").stderr
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[0, 4, 8]", seed="[0, 1]")
    assert kitui("launch", path, "--host", "h1", "--host", "h2").returncode == 0
    wait_until(lambda: any((tmp_path / "h2" / "tokens").glob("*/*")), 120, lambda: row(kitui))
    wait_until(lambda: row(kitui)["running"] == 1, 120, lambda: row(kitui))
    assert "h2: drained: nothing is started there" in row(kitui)["alerts"]
    assert not list((tmp_path / "h2" / "runs").iterdir())

    assert kitui("pause", "sweep").returncode == 0
    wait_until(lambda: row(kitui)["running"] == 0, 60, lambda: row(kitui))
    # What every run there stumbles over; without a manifest nobody can tell that it is damage, and have it mended.
    for pattern in ("*/tokenizer*", "*/manifest.json"):
        for file in (tmp_path / "h2" / "tokens").glob(pattern):
            file.unlink()
    assert kitui("hosts", "reopen", "h2").returncode == 0
    assert kitui("resume", "sweep").returncode == 0
    wait_until(lambda: row(kitui)["done"] == 6, 200, lambda: row(kitui))
    host = kitui.json("status")["hosts"][2]
    assert (host["name"], host["open"]) == ("h2", False)
    assert "set aside after 3 failures in a row, the last: " in host["fault"]
    assert "kitui hosts reopen h2" in host["fault"]
    assert {run.host for run in state_of(kitui.workspace).runs.values()} == {"h1"}
    assert row(kitui)["failed"] == 0


@pytest.mark.slow
def test_a_host_that_refuses_gives_its_runs_back(
    machines: Farm, kitui: CommandLine, tmp_path: Path, write_sweep: Callable[..., Path]
) -> None:
    """Prepared, and then broken in a way that nothing can be started there."""
    kitui.workspace.create()
    machines.start("h1")
    (kitui.workspace.root / "hosts.toml").write_text(machines.table("h1", tmp_path / "h1", cores=2))
    assert kitui("hosts", "drain", "h1", "local").returncode == 0
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[0, 4]", seed="[0]")
    assert kitui("launch", path, "--host", "h1", "--host", "local").returncode == 0
    wait_until(lambda: any((tmp_path / "h1" / "tokens").glob("*/*")), 120, lambda: row(kitui))
    wait_until(lambda: row(kitui)["queued"] == 2, 60, lambda: row(kitui))
    (tmp_path / "h1" / "facts").rmdir()
    (tmp_path / "h1" / "facts").write_text("no folder")
    assert kitui("hosts", "reopen", "h1").returncode == 0
    wait_until(lambda: row(kitui)["running"] == 2, 60, lambda: row(kitui))
    assert kitui("hosts", "reopen", "local").returncode == 0
    wait_until(lambda: row(kitui)["done"] == 2, 120, lambda: row(kitui))
    assert {run.host for run in state_of(kitui.workspace).runs.values()} == {"local"}


@pytest.mark.slow
def test_a_cap_ends_what_is_over_it_until_it_is_raised(
    machines: Farm, kitui: CommandLine, tmp_path: Path, write_sweep: Callable[..., Path]
) -> None:
    kitui.workspace.create()
    machines.start("h1")
    (kitui.workspace.root / "hosts.toml").write_text(
        machines.table("h1", tmp_path / "h1", cores=1, price_per_gpu_hour=2.0)
    )
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[0, 4]", seed="[0]", num_tokens='["600k"]')
    done = kitui("launch", path, "--host", "h1", "--cap", "h1=$0.003")  # 5.4 seconds
    assert done.returncode == 0, done.stderr
    words = "h1: the cap of 0.0015 GPU-hours is used up; kitui cap sweep h1=HOURS changes it"
    wait_until(lambda: words in row(kitui)["alerts"] and row(kitui)["queued"] == 2, 120, lambda: row(kitui))
    used = [run.used_s.get("h1", 0.0) for run in state_of(kitui.workspace).runs.values()]
    assert 5.4 <= sum(used) < 30
    done = kitui("cap", "sweep", "h1=none")
    assert done.stderr.strip() == "cap on h1: none"
    wait_until(lambda: row(kitui)["done"] == 2, 200, lambda: row(kitui))
    runs = state_of(kitui.workspace).runs
    assert any(run.attempt >= 2 for run in runs.values()), runs


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_could_be_prepared(
    machines: Farm,
    kitui: CommandLine,
    tmp_path: Path,
    write_sweep: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kitui.workspace.create()
    machines.start("h1")
    (kitui.workspace.root / "hosts.toml").write_text(machines.table("h1", tmp_path / "h1", cores=1))
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[0, 4]", seed="[0]")
    for name, value in kitui.environment().items():
        monkeypatch.setenv(name, value)
    launch = [sys.executable, "-m", "kitui", "launch", str(path), "--host", "local", "--host", "h1"]
    done = in_full_disk(kitui.workspace.root / "tokens", "16k", launch)  # its supervisor sees that disk too
    assert done.returncode == 0, done.stderr
    wait_until(lambda: row(kitui)["done"] == 2, 120, lambda: row(kitui))
    assert {run.host for run in state_of(kitui.workspace).runs.values()} == {"h1"}
    assert any(alert.startswith("not prepared on local: ") for alert in row(kitui)["alerts"])
