"""The kinds of other hosts: what differs between a machine that one logs in to and a cluster's login node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from engine.control.launchers.job import Job
from engine.control.slots import Slot, core_slots, gpu_slots
from engine.control.transport.base import ClusterAnswer, Hello, Transport
from engine.records.hosts import Host


class Group(NamedTuple):
    """What is started together, by name, and how: the settings of a cluster's job, or directly."""

    names: tuple[str, ...]
    slurm: dict[str, object] | None = None


class HostKind(Protocol):
    """How a kind of host gives out its slots."""

    scheduler: str
    """The name of what gives out its GPUs, if it is not us."""

    def slots(self, host: Host, there: Hello) -> list[Slot]:
        """The slots of a host by what it says of itself, and what `hosts.toml` allows of that."""

    def groups(self, host: Host, jobs: dict[str, Job]) -> Iterator[Group]:
        """How these are started."""

    def about_scheduler(self, transport: Transport) -> str:
        """What its scheduler says of itself, in words. LaunchError where it does not answer."""


class Machine:
    """A machine that one logs in to: one run a GPU, or else one a core."""

    scheduler = ""

    def slots(self, host: Host, there: Hello) -> list[Slot]:
        gpus = [gpu.index for gpu in there.gpus] if host.gpus is None else list(host.gpus)
        if gpus and host.cores is None:
            return gpu_slots(gpus, host.runs_per_slot)
        return core_slots(host.cores or there.cores)

    def groups(self, host: Host, jobs: dict[str, Job]) -> Iterator[Group]:
        yield Group(tuple(jobs))

    def about_scheduler(self, transport: Transport) -> str:
        return ""


class Cluster:
    """A Slurm cluster: places in its queue, whose jobs are given GPUs and cores by the cluster itself."""

    scheduler = "Slurm"

    def slots(self, host: Host, there: Hello) -> list[Slot]:
        env = {"OMP_NUM_THREADS": str(host.cpus), "KITUI_JOB": "1"}
        return [Slot(f"job:{number}", "job", env) for number in range(host.jobs)]

    def groups(self, host: Host, jobs: dict[str, Job]) -> Iterator[Group]:
        """Runs of as many processes are one array. What is no run is started on the login node: it has the network that
        a hub's dataset needs."""
        runs = {name: job for name, job in jobs.items() if name.startswith("runs/")}
        for number in sorted({job.num_processes for job in runs.values()}):
            settings: dict[str, object] = {"options": sbatch_options(host, number), "setup": host.setup}
            yield Group(tuple(name for name, job in runs.items() if job.num_processes == number), settings)
        others = tuple(name for name in jobs if name not in runs)
        if others:
            yield Group(others)

    def about_scheduler(self, transport: Transport) -> str:
        found = transport.ask("cluster", ClusterAnswer)
        return f"{found.version}; partitions {found.partitions}; {found.jobs} jobs of yours"


KINDS: dict[str, HostKind] = {"local": Machine(), "ssh": Machine(), "slurm": Cluster()}


def sbatch_options(host: Host, num_processes: int = 1) -> list[str]:
    """What a host's jobs ask for: for each process `cpus` and `gres`, for each node `mem`."""
    on_a_node = min(num_processes, host.gpus_per_node)
    asked = {name: getattr(host, name) for name in ("partition", "account", "qos", "time", "mem")}
    asked["gres"] = _times(host.gres, on_a_node) if host.gres else None
    options = [f"--{name}={value}" for name, value in asked.items() if value]
    if num_processes > 1:
        options += [f"--nodes={-(-num_processes // on_a_node)}", f"--ntasks={num_processes}"]
        options.append(f"--ntasks-per-node={on_a_node}")
    return [*options, f"--cpus-per-task={host.cpus}", f"--signal=B:USR1@{host.warn_s}", *host.options]


def _times(gres: str, number: int) -> str:
    """So many times what a gres asks for: gpu:a100:1 is gpu:a100:4 then; gpu alone means one."""
    name, _, count = gres.rpartition(":")
    return f"{name}:{int(count) * number}" if name and count.isdigit() else f"{gres}:{number}"
