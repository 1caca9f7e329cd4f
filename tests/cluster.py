"""A real Slurm cluster of two nodes on this machine: munged, slurmctld and two slurmd, with files of their own."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import wait_until
from tests.hosts import need

_CONFIG = """
ClusterName=kitui
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock
CryptoType=crypto/munge
SlurmctldPort={port}
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2
ReturnToService=2
SlurmdTimeout=10
KillWait=10
MinJobAge=30
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1} CPUs=1 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2} CPUs=1 RealMemory=4000
PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 GraceTime=30 MaxTime=INFINITE State=UP
PartitionName=high Nodes=n1,n2 PriorityTier=10 MaxTime=INFINITE State=UP
"""


class Cluster:
    def __init__(self) -> None:
        need("slurmctld", "slurmd", "munged", "sbatch")
        if os.geteuid() != 0:
            pytest.skip("needs root, to run a cluster")
        self.root = Path(tempfile.mkdtemp(prefix="kitui-slurm-", dir="/tmp"))
        self.root.chmod(0o755)
        for folder in ("state", "spool-n1", "spool-n2"):
            (self.root / folder).mkdir()
        ports = [_free_port() for _ in range(3)]
        config = _CONFIG.format(
            root=self.root, host=platform.node().partition(".")[0], port=ports[0], n1=ports[1], n2=ports[2]
        )
        (self.root / "slurm.conf").write_text(config)
        key = self.root / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self._do(
            "munged", "--force", f"--key-file={key}", f"--socket={self.root}/munge.sock",
            f"--pid-file={self.root}/munged.pid", f"--log-file={self.root}/munged.log",
            f"--seed-file={self.root}/munged.seed",
        )  # fmt: skip
        self.start_controller()
        for node in ("n1", "n2"):
            self.start_node(node)
        wait_until(lambda: self._do("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", 30, self.sinfo)

    @property
    def env(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.root / "slurm.conf")}

    def _do(self, *argv: str) -> str:
        done = subprocess.run(argv, env=os.environ | self.env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def sinfo(self) -> str:
        return self._do("sinfo") + self._do("squeue", "-r")

    def queue(self) -> list[str]:
        """States of this user's jobs."""
        return self._do("squeue", "-r", "-h", "-o", "%T").split()

    def nodes_of_largest_job(self) -> int:
        return max(map(int, self._do("squeue", "-h", "-o", "%D").split()), default=0)

    def submit(self, *argv: str) -> str:
        return self._do("sbatch", "--parsable", *argv).strip()

    def start_controller(self) -> None:
        self._do("slurmctld")

    def stop_controller(self) -> None:
        self._kill("slurmctld.pid")

    def start_node(self, node: str) -> None:
        self._do("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """As a machine that goes down: its daemon and all that runs on it are gone at once."""
        assert self._kill(f"slurmd-{node}.pid", signal=9)
        mark = f"SLURMD_NODENAME={node}".encode()
        for process in psutil.process_iter():
            try:
                if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                    for one in (process.parent(), process):  # its keeper first, or it would tell of its end
                        if one is not None and (one is process or one.name().startswith("slurmstepd")):
                            one.kill()
            except (OSError, psutil.Error):
                continue

    def _kill(self, name: str, signal: int = 15) -> int:
        path = self.root / name
        try:
            pid = int(path.read_text())
        except (OSError, ValueError):
            return 0
        subprocess.run(["kill", f"-{signal}", str(pid)], capture_output=True, check=False)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), 20)
        return pid

    def close(self) -> None:
        subprocess.run(["scancel", "--me"], env=os.environ | self.env, capture_output=True, timeout=30, check=False)
        time.sleep(1)
        for name in ("slurmd-n1.pid", "slurmd-n2.pid", "slurmctld.pid", "munged.pid"):
            self._kill(name, 15 if name != "munged.pid" else 9)
        shutil.rmtree(self.root, ignore_errors=True)


@contextmanager
def cluster() -> Iterator[Cluster]:
    found = Cluster()
    try:
        yield found
    finally:
        found.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
