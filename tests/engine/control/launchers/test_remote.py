"""Runs on other machines: real sshd, real training, lines that are cut, processes that are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.records.workspace import Workspace, read_json
from tests.conftest import SAMPLES, CommandLine, wait_until
from tests.engine.control.test_supervisor import outcome, results, state_of
from tests.hosts import Farm, need


@pytest.fixture
def namespaces(machines: Farm) -> Iterator[Callable[[str, bool], None]]:
    """Two machines, each in a network of its own behind a cable; gives a way to cut a cable and to mend it."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    need("ip")
    names = [f"kitui{os.getpid() % 10_000}{i}" for i in (1, 2)]
    for i, name in enumerate(names, start=1):
        ip("netns", "add", name)
        ip("link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", f"10.213.{i}.1/24", "dev", f"v{name}")
        ip("link", "set", f"v{name}", "up")
        ip("-n", name, "addr", "add", f"10.213.{i}.2/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        machines.start(f"h{i}", address=f"10.213.{i}.2", prefix=("ip", "netns", "exec", name))

    def cable(machine: str, whole: bool) -> None:
        ip("link", "set", f"v{names[int(machine[1:]) - 1]}", "up" if whole else "down")

    yield cable
    for i, name in enumerate(names, start=1):
        machines.stop(f"h{i}")
        ip("netns", "delete", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hosts_with_cut_lines_and_kills_give_the_local_numbers(
    machines: Farm, namespaces: Callable[[str, bool], None], trained: CommandLine, kitui: CommandLine, tmp_path: Path
) -> None:
    """smoke.toml over two hosts: five cuts of a second up to a minute, the supervisor and a guard killed in between.
    Losses and scores are the local ones bit for bit, no line is lost or doubled, and no process is left."""
    kitui.workspace.create()
    folders = {name: tmp_path / name for name in ("h1", "h2")}
    (kitui.workspace.root / "hosts.toml").write_text(
        "".join(machines.table(name, folder, cores=1) for name, folder in folders.items())
    )
    done = kitui("launch", SAMPLES / "smoke.toml", "--host", "h1", "--host", "h2")
    assert done.returncode == 0, done.stderr
    watching = subprocess.Popen(
        [sys.executable, "-m", "kitui", "watch", "smoke"], env=kitui.environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    chance, killed = random.Random(1), []
    workspace = kitui.workspace
    wait_until(lambda: count(workspace, "running") == 2, 120)
    seen_away = []
    for number, length_s in enumerate([1, *(chance.uniform(2, 20) for _ in range(3)), 60]):
        machine = chance.choice(["h1", "h2"])
        namespaces(machine, False)
        cut = threading.Timer(length_s, namespaces, (machine, True))
        cut.start()
        if number == 1:
            killed.append(kill_supervisor(workspace))
        if number == 3:
            killed.append(kill_a_guard(folders))
        cut.join()
        seen_away += [h["name"] for h in kitui.json("status")["hosts"] if "unreachable since" in h["fault"]]
        time.sleep(chance.uniform(1, 4))
    watching.wait(timeout=400)
    assert killed[0]
    assert killed[1]
    assert seen_away  # a cut line was shown as one
    row = kitui.json("status")["sweeps"][0]
    assert (row["done"], row["failed"], row["lost"], row["alerts"]) == (12, 0, 0, [])

    here, local = results(workspace), results(trained.workspace)
    assert {r: outcome(result) for r, result in here.items()} == {r: outcome(local[r]) for r in here}
    assert len(here) == 12
    hosts = {run_id: run.host for run_id, run in state_of(workspace).runs.items()}
    assert set(hosts.values()) == {"h1", "h2"}
    for run_id, name in hosts.items():
        base = read_json(workspace.run(run_id).host)["base"]["metrics.jsonl"]
        mirrored = workspace.run(run_id).metrics.read_bytes()[base:]
        assert mirrored == (folders[name] / "runs" / run_id / "metrics.jsonl").read_bytes()
    wait_until(lambda: not left_over(folders), 20, lambda: str(left_over(folders)))


def count(workspace: Workspace, state: str) -> int:
    return sum(run.status == state for run in state_of(workspace).runs.values())


def kill_supervisor(workspace: Workspace) -> int:
    pid = int(read_json(workspace.supervisor_lock)["pid"])
    os.kill(pid, signal.SIGKILL)
    return pid


def kill_a_guard(folders: dict[str, Path]) -> int:
    """The guard of a run that is being trained, as soon as there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for folder in folders.values():
            for path in folder.glob("runs/*/guard.json"):
                identity = read_json(path)
                if identity and not path.with_name("exit.json").exists() and psutil.pid_exists(identity["pid"]):
                    os.kill(identity["pid"], signal.SIGKILL)
                    return int(identity["pid"])
        time.sleep(0.05)
    return 0


def left_over(folders: dict[str, Path]) -> list[str]:
    """Command lines of processes that work in these folders."""
    lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    return [line for line in lines if any(str(folder) in line for folder in folders.values()) and "sshd" not in line]


@pytest.mark.slow
def test_a_host_that_is_mended_takes_the_runs(
    machines: Farm, kitui: CommandLine, tmp_path: Path, write_sweep: Callable[..., Path]
) -> None:
    """No Python at first: said in the status, nothing failed. Another line in hosts.toml, and it trains. A background
    of one's own goes there with it. The weights can be had from there, and a sweep that is deleted leaves nothing."""
    machines.start("h1")
    kitui.workspace.create()
    hosts = kitui.workspace.root / "hosts.toml"
    hosts.write_text(machines.table("h1", tmp_path / "h1").replace(sys.executable, "/no/python"))
    text = "All this is text of one's own, and there is enough of it to train on for a while. " * 2000
    (tmp_path / "own.txt").write_text(text)
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[4]", seed="[0]")
    path.write_text(path.read_text() + '\n[background]\nsource = "files"\npath = "own.txt"\nheldout_tokens = 500\n')
    done = kitui("launch", path, "--host", "h1")
    assert done.returncode == 0, done.stderr

    def row() -> Any:
        return kitui.json("status")["sweeps"][0]

    wait_until(lambda: any("Set `python`" in alert for alert in row()["alerts"]), 30, row)
    hosts.write_text(machines.table("h1", tmp_path / "h1"))
    wait_until(lambda: row()["done"] == 1, 120, row)
    assert kitui.json("hosts")["hosts"][1]["fault"] == ""
    result = next(iter(results(kitui.workspace).values()))
    assert result.exposures_as_planned
    assert list((kitui.workspace.root / "tokens").glob("*")) == []
    assert "own.txt" in {p.name for p in (tmp_path / "h1" / "inputs").rglob("*")}

    run_id = result.run_id
    done = kitui("export-model", run_id, tmp_path / "weights")
    assert done.returncode == 0, done.stderr
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "kitui_run.json"}
    assert {p.name for p in (tmp_path / "weights").iterdir()} == names
    there = tmp_path / "h1"
    left = lambda: [p for room in ("runs", "tokens", "sweeps") for p in (there / room).iterdir()]  # noqa: E731
    before = left()
    assert kitui("delete", "sweep", "--yes").returncode == 0
    assert kitui("undelete", "sweep").returncode == 0
    assert left() == before  # what can be had back is left there, too
    assert kitui("delete", "sweep", "--yes", "--for-good").returncode == 0
    wait_until(lambda: not left(), 30, left)
