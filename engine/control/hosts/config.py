"""The hosts that runs may go to: `hosts.toml` in the workspace, a table a host. This machine is `local`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import msgspec

from engine.control.launchers.base import Slot
from engine.errors import LaunchError, SpecError, nearest
from engine.records.workspace import Workspace

Kind = Literal["ssh", "slurm"]
LOCAL = "local"
CPU_ENV = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
# What ssh could take for an option or for several words: whoever writes it is not to start something else by it.
_TARGET = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@:%\[\]-]*")


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `hosts.toml`."""

    name: str
    kind: Kind = "ssh"
    """`ssh`: a machine that one logs in to. `slurm`: a cluster, through its login node where `ssh` is given."""
    ssh: str | None = None
    """What one types after `ssh`: a name of the user's own ssh configuration, or user@machine."""
    workspace: str
    """The folder there that holds token files and runs; made where it is missing. `~/` is the home there."""
    python: str = "python3"
    """The Python there that has PyTorch and what else training needs."""
    tokens: str | None = None
    """A folder there where token files lie, and new ones go: on a disk with room, or shared by several people."""
    setup: str = ""
    """Shell lines before Python is started there: `module load cuda`, `. /opt/env/bin/activate`; for sh."""
    gpus: tuple[str, ...] | None = None
    """GPUs to use, by index or UUID; all where left out."""
    cores: int | None = None
    """Where there is no GPU: runs at once, one a core; all cores where left out."""
    runs_per_slot: int = 1
    """Runs that share a GPU."""
    price_per_gpu_hour: float | None = None
    """What an hour of a GPU (a core, where there is none) costs: caps can be given as a cost then."""
    jobs: int = 50
    """Of a cluster: runs that are in the queue or run at once."""
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    """The time limit of a job, as Slurm writes it: 4:00:00. A run that needs longer goes on in another job."""
    gres: str | None = None
    """What each process of a run gets: gpu:1."""
    cpus: int = 1
    """Cores of each process."""
    gpus_per_node: int = 1
    """How many processes of one run a node takes; a run of more goes over several nodes."""
    mem: str | None = None
    options: tuple[str, ...] = ()
    """Further options of sbatch: --constraint=a100."""
    warn_s: int = 120
    """Seconds before its time limit that a run is asked to write a checkpoint and end."""


def hosts_of(sweep: Mapping[str, Any]) -> tuple[str, ...]:
    """The hosts that a sweep's runs may go to."""
    return tuple(sweep.get("hosts") or (LOCAL,))


def host_of(run: Mapping[str, Any]) -> str:
    """The host that a run was started on last."""
    return str(run.get("host") or LOCAL)


def hosts_path(workspace: Workspace) -> str:
    return str(workspace.root / "hosts.toml")


def read_hosts(workspace: Workspace) -> dict[str, Host]:
    """The hosts of a workspace by name, without `local`. SpecError names table, key and value."""
    path = workspace.root / "hosts.toml"
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"cannot be read: {error}.", where=str(path)) from None
    return {name: _host(str(path), name, table) for name, table in tables.items()}


def known_host(workspace: Workspace, name: str) -> Host:
    """A host by its name. LaunchError names the nearest one; SpecError says what is wrong with the file."""
    hosts = read_hosts(workspace)
    if name not in hosts:
        raise LaunchError(
            "there is no host of this name.",
            where=hosts_path(workspace),
            value=name,
            mend=nearest(name, [LOCAL, *hosts]),
        )
    return hosts[name]


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


def slots_of(host: Host, there: dict[str, Any]) -> Iterable[Slot]:
    """The slots of a host by what it says of itself, and what `hosts.toml` allows of that."""
    if host.kind == "slurm":  # GPUs and cores are given out by the cluster
        for number in range(host.jobs):
            yield Slot(f"job:{number}", "slurm", {"OMP_NUM_THREADS": str(host.cpus), "KITUI_JOB": "1"})
        return
    gpus = [g["index"] for g in there["gpus"]] if host.gpus is None else list(host.gpus)
    if gpus and host.cores is None:
        for gpu in gpus:
            for turn in range(host.runs_per_slot):
                name = f"gpu:{gpu}" + (f".{turn + 1}" if host.runs_per_slot > 1 else "")
                yield Slot(name, "gpu", {"CUDA_VISIBLE_DEVICES": gpu, "OMP_NUM_THREADS": "4"})
        return
    for core in range(host.cores or there["cores"]):
        yield Slot(f"cpu:{core}", "cpu", CPU_ENV)


def _times(gres: str, number: int) -> str:
    """So many times what a gres asks for: gpu:a100:1 is gpu:a100:4 then; gpu alone means one."""
    name, _, count = gres.rpartition(":")
    return f"{name}:{int(count) * number}" if name and count.isdigit() else f"{gres}:{number}"


def _host(path: str, name: str, table: Any) -> Host:
    if not _NAME.fullmatch(name) or name == LOCAL:
        raise SpecError(
            "not a name for a host." if name != LOCAL else "this machine needs no table.",
            where=path,
            value=name,
            mend="Small letters, digits, '.', '_' and '-'.",
        )
    if not isinstance(table, dict):
        raise SpecError("expected a table.", where=path, key=name, value=table, mend=f"Write [{name}].")
    fields = [f for f in Host.__struct_fields__ if f != "name"]
    for key in table:
        if key not in fields:
            raise SpecError("unknown key.", where=path, key=f"{name}.{key}", mend=nearest(key, fields))
    try:
        host = msgspec.convert({"name": name} | table, Host)
    except msgspec.ValidationError as error:
        words, _, at = str(error).partition(" - at `$.")
        key = at.rstrip("`").partition("[")[0] or (words.split("`")[1] if "`" in words else "")
        mend = f"One of {', '.join(get_args(Kind))}." if key == "kind" else ""
        shown = {"value": table[key]} if key in table else {}
        raise SpecError(
            f"{words[:1].lower()}{words[1:]}.", where=path, key=f"{name}.{key}", mend=mend, **shown
        ) from None
    if any("\n" in option or not option.startswith("--") for option in host.options):
        raise SpecError("expected options such as --constraint=a100.", where=path, key=f"{name}.options")
    if host.kind == "ssh" and not host.ssh:
        raise SpecError("missing.", where=path, key=f"{name}.ssh", mend="Give what you type after ssh.")
    if host.ssh is not None and not _TARGET.fullmatch(host.ssh):
        raise SpecError("not a name that ssh can be given.", where=path, key=f"{name}.ssh", value=host.ssh)
    for key in ("cores", "runs_per_slot", "jobs", "cpus", "gpus_per_node", "warn_s"):
        number = getattr(host, key)
        if number is not None and number < 1:
            raise SpecError("expected 1 or more.", where=path, key=f"{name}.{key}", value=number)
    if host.kind == "slurm" and host.runs_per_slot > 1:
        mend = 'Ask for a share of one: gres = "shard:1" or "mps:50", as the cluster has it.'
        raise SpecError("a cluster gives out its GPUs itself.", where=path, key=f"{name}.runs_per_slot", mend=mend)
    if host.price_per_gpu_hour is not None and host.price_per_gpu_hour <= 0:
        raise SpecError(
            "expected more than 0.", where=path, key=f"{name}.price_per_gpu_hour", value=host.price_per_gpu_hour
        )
    return host
