"""hosts.toml: what it may say, and how a fault in it is told."""

from __future__ import annotations

import pytest

from engine.control.launchers.kinds import sbatch_options
from engine.errors import LaunchError, SpecError
from engine.records.hosts import Host, known_host, read_hosts
from engine.records.workspace import Workspace


def hosts(workspace: Workspace, text: str) -> None:
    workspace.create()
    (workspace.root / "hosts.toml").write_text(text)


def test_without_a_file_there_is_this_machine_alone(workspace: Workspace) -> None:
    assert read_hosts(workspace) == {}


def test_a_table_a_host(workspace: Workspace) -> None:
    hosts(workspace, '[gpu-1]\nssh = "me@gpu.example.org"\nworkspace = "~/k"\ngpus = ["0", "2"]\nruns_per_slot = 2\n')
    host = read_hosts(workspace)["gpu-1"]
    assert (host.name, host.kind, host.ssh, host.gpus, host.cores) == (
        "gpu-1", "ssh", "me@gpu.example.org", ("0", "2"), None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a]\nworkspace = '/w'\n", "a.ssh: missing"),
        ("[a]\nssh = 'h'\n", "a.workspace"),
        ("[a]\nssh = '-oProxyCommand=touch /tmp/x'\nworkspace = '/w'\n", "not a name that ssh can be given"),
        ("[a]\nssh = 'h; reboot'\nworkspace = '/w'\n", "not a name that ssh can be given"),
        ("[a]\nssh = 'h'\nworkspace = '/w'\npyhton = 'p'\n", "Did you mean python?"),
        ("[a]\nssh = 'h'\nworkspace = '/w'\ncores = 0\n", "a.cores = 0: expected 1 or more"),
        ("[a]\nssh = 'h'\nworkspace = '/w'\ncores = 'two'\n", "a.cores = 'two': expected"),
        ("[a]\nssh = 'h'\nworkspace = '/w'\nkind = 'cloud'\n", "One of ssh, slurm"),
        ("[a]\nworkspace = '/w'\nkind = 'slurm'\nruns_per_slot = 2\n", "a.runs_per_slot: a cluster gives out"),
        ("[a]\nssh = 'h'\nworkspace = '/w'\nprice_per_gpu_hour = -1.0\n", "expected more than 0"),
        ("[A]\nssh = 'h'\nworkspace = '/w'\n", "not a name for a host"),
        ("[local]\nssh = 'h'\nworkspace = '/w'\n", "this machine needs no table"),
        ("a = 1\n", "Write [a]"),
        ("[a\n", "not valid TOML"),
    ],
)
def test_a_fault_names_table_key_and_value(workspace: Workspace, text: str, words: str) -> None:
    hosts(workspace, text)
    with pytest.raises(SpecError) as caught:
        read_hosts(workspace)
    assert words in str(caught.value)
    assert "hosts.toml" in str(caught.value)


def test_an_unknown_host_has_a_nearest_one(workspace: Workspace) -> None:
    hosts(workspace, "[gpu-one]\nssh = 'h'\nworkspace = '/w'\n")
    with pytest.raises(LaunchError, match="Did you mean gpu-one"):
        known_host(workspace, "gpu-on")


def test_a_job_asks_for_what_all_its_processes_take() -> None:
    host = Host(name="c", kind="slurm", workspace="/w", gres="gpu:a100:1", cpus=4, gpus_per_node=4)
    assert "--gres=gpu:a100:1" in sbatch_options(host)
    assert not any(option.startswith("--nodes") for option in sbatch_options(host))
    options = sbatch_options(host, 6)
    assert {"--gres=gpu:a100:4", "--nodes=2", "--ntasks=6", "--ntasks-per-node=4", "--cpus-per-task=4"} <= set(options)
    plain = Host(name="c", kind="slurm", workspace="/w", gres="gpu", gpus_per_node=2)
    assert "--gres=gpu:2" in sbatch_options(plain, 2)
