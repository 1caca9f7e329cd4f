"""The way to a host: real sshd with every kind of login, and what is said where there is no way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.control.hosts.doctor import check_host
from engine.control.transport.base import Hello, UnreachableError
from engine.control.transport.ssh import Ssh
from engine.errors import LaunchError
from engine.records.hosts import Host
from tests.hosts import Farm, need


def host(name: str, workspace: Path, **fields: Any) -> Host:
    return Host(name=name, ssh=name, workspace=str(workspace), **({"python": sys.executable} | fields))


def test_a_fit_host_is_found_fit(machines: Farm, tmp_path: Path) -> None:
    machines.start("h1")
    findings = {f.name: f for f in check_host(host("h1", tmp_path / "there", cores=3))}
    assert all(f.right for name, f in findings.items() if name != "workspace"), findings
    assert findings["slots"].words.startswith("3 at once")


def printing(words: str, then: str = "sh -c") -> str:
    return f"ForceCommand echo '{words}'; exec {then} \"$SSH_ORIGINAL_COMMAND\""


@pytest.mark.parametrize(
    "options",
    [
        printing("Welcome to this machine!"),
        printing("{", "bash -c"),
        'ForceCommand exec fish -c "$SSH_ORIGINAL_COMMAND"',
    ],
    ids=["prints", "prints a brace", "fish"],
)
def test_what_a_login_shell_is_or_prints_does_not_matter(machines: Farm, tmp_path: Path, options: str) -> None:
    if "fish" in options:
        need("fish")
    machines.start("h1", options=options)
    folder = tmp_path / "a 'quoted' folder"
    there = Ssh(host("h1", folder)).ask("hello", Hello)
    assert there.workspace == str(folder)


def test_a_set_up_goes_before_python(machines: Farm, tmp_path: Path) -> None:
    machines.start("h1")
    setup = f"echo loading modules; PATH={Path(sys.executable).parent}:$PATH"
    there = Ssh(host("h1", tmp_path / "there", python="python3", setup=setup)).ask("hello", Hello)
    assert Path(there.executable).parent == Path(sys.executable).parent


def test_a_bad_host_is_told_with_its_mend(machines: Farm, tmp_path: Path) -> None:
    """A wrong key, a key that is not known, no Python, no such machine, a port where nobody listens."""
    machines.start("h1")
    machines.alias("wrong", "h1", user_key="other_key")
    machines.alias("stranger", "h1", known_hosts="nobody_known")
    with machines.config.open("a") as config:
        config.write("Host closed\n  HostName 127.0.0.1\n  Port 1\n")
    there = tmp_path / "there"
    cases = {
        "wrong": ("does not let us in", "ssh-copy-id wrong"),
        "stranger": ("key is not known", "ssh stranger"),
        "closed": ("refuses the connection", "sshd"),
        "nowhere.invalid": ("no machine of this name", "hosts.toml"),
    }
    for name, (what, mend) in cases.items():
        with pytest.raises(UnreachableError) as caught:
            Ssh(host(name, there)).ask("hello", Hello)
        assert what in caught.value.what
        assert mend in caught.value.mend
    with pytest.raises(LaunchError) as no_python:
        Ssh(host("h1", there, python="/no/such/python")).ask("hello", Hello)
    assert "Set `python`" in no_python.value.mend


def test_a_workspace_that_cannot_be_written_is_told(machines: Farm, tmp_path: Path) -> None:
    """A disk without room, and one that is read-only."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount file systems")
    machines.start("h1")
    for options, mend in (("size=16k", "Free some space"), ("size=1m,ro", "Set a `workspace`")):
        disk = tmp_path / options
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk], check=True)
        try:
            with pytest.raises(LaunchError) as caught:
                Ssh(host("h1", disk / "there")).ask("hello", Hello)
            assert mend in caught.value.mend, caught.value
        finally:
            subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
def test_a_login_of_half_a_minute_is_waited_for(machines: Farm, tmp_path: Path) -> None:
    machines.start("h1", options='ForceCommand sleep 30; exec sh -c "$SSH_ORIGINAL_COMMAND"')
    ssh = Ssh(host("h1", tmp_path / "there"))
    assert ssh.ask("hello", Hello).cores
    with pytest.raises(UnreachableError, match="no answer within"):  # every command so slow is no host to work with
        ssh.ask("hello", Hello)
