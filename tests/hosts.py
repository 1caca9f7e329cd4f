"""Hosts for tests: real sshd processes on this machine, each with keys, configuration and workspace of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


def need(*programs: str) -> None:
    """Skip, with the reason, where a program is missing; in CI that is a failure."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        words = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)


class Farm:
    """Machines that the real ssh reaches through a configuration of its own, kept apart from the user's."""

    def __init__(self, root: Path) -> None:
        need("ssh", "sshd", "rsync")
        self.root = root
        self.config = root / "ssh_config"
        self._runtime = Path(tempfile.mkdtemp(prefix="kf", dir="/tmp"))  # pytest's own folders are too long for sockets
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._ports: dict[str, int] = {}
        for name in ("host_key", "user_key", "other_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / name], check=True)
        shutil.copy(root / "user_key.pub", root / "authorized_keys")
        (root / "bin").mkdir()
        shim = root / "bin" / "ssh"
        shim.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.config} "$@"\n')
        shim.chmod(0o755)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to reach the machines; sockets in a folder of this farm, so that none outlives it."""
        return {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(self._runtime)}

    def start(self, name: str, *, address: str = "127.0.0.1", prefix: tuple[str, ...] = (), options: str = "") -> None:
        """Start a machine's sshd, or start it again."""
        port = self._ports.setdefault(name, 22022 if prefix else _free_port())
        config = self.root / f"sshd_{name}"
        config.write_text(
            f"Port {port}\nListenAddress {address}\nHostKey {self.root / 'host_key'}\nPidFile none\n"
            f"AuthorizedKeysFile {self.root / 'authorized_keys'}\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\nMaxSessions 100\n{options}\n"
        )
        log = (self.root / f"sshd_{name}.log").open("ab")
        self._daemons[name] = subprocess.Popen([*prefix, SSHD, "-D", "-e", "-f", str(config)], stderr=log, stdout=log)
        known = self.root / "known_hosts"
        public = " ".join((self.root / "host_key.pub").read_text().split()[:2])
        with known.open("a") as file:
            file.write(f"[{address}]:{port} {public}\n")
        with self.config.open("a") as file:
            file.write(
                f"Host {name}\n  HostName {address}\n  Port {port}\n  User {getpass.getuser()}\n"
                f"  IdentityFile {self.root / 'user_key'}\n  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n"
                "  StrictHostKeyChecking yes\n"
            )
        if not prefix:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex((address, port)) == 0:
                        return
                time.sleep(0.05)
            raise TimeoutError(f"sshd of {name} did not come up: {(self.root / f'sshd_{name}.log').read_text()}")

    def alias(self, name: str, machine: str, **changes: str) -> None:
        """Another name for a machine, with some of its words in the configuration changed."""
        blocks = self.config.read_text().split("Host ")
        block = next(b for b in blocks if b.startswith(f"{machine}\n")).replace(f"{machine}\n", f"{name}\n", 1)
        for before, after in changes.items():
            block = block.replace(before, after)
        with self.config.open("a") as file:
            file.write(f"Host {block}")

    def stop(self, name: str) -> None:
        """End a machine's sshd with the connections that it has; what runs there goes on."""
        daemon = self._daemons.pop(name)
        for line in subprocess.run(["ps", "-o", "pid=", "--ppid", str(daemon.pid)], capture_output=True).stdout.split():
            os.kill(int(line), signal.SIGKILL)
        daemon.terminate()
        daemon.wait()

    def table(self, name: str, workspace: Path, **fields: object) -> str:
        """Its table in hosts.toml."""
        lines = [f"[{name}]", f'ssh = "{name}"', f'workspace = "{workspace}"', f'python = "{sys.executable}"']
        return "\n".join([*lines, *(f"{key} = {value!r}" for key, value in fields.items())]) + "\n\n"

    def close(self) -> None:
        for name in list(self._daemons):
            self.stop(name)
        for socket_file in self._runtime.rglob("*"):
            if socket_file.is_socket():
                subprocess.run(["ssh", "-o", f"ControlPath={socket_file}", "-O", "exit", "x"], capture_output=True)
        shutil.rmtree(self._runtime)


@contextmanager
def farm(root: Path) -> Iterator[Farm]:
    machines = Farm(root)
    try:
        yield machines
    finally:
        machines.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
