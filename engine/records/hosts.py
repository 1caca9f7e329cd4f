"""`hosts.toml` in the workspace: the hosts that runs may go to, a table each. This machine, `local`, needs none."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Literal, get_args

import msgspec

from engine.errors import DataError, LaunchError, SpecError, nearest, together
from engine.records.states import ALL_HOSTS, LOCAL
from engine.records.workspace import Workspace
from engine.spec.files import as_spec_error, read_toml

Kind = Literal["ssh", "slurm"]
"""Of a table. `engine.control.launchers.registry` has how each is started on."""
_KINDS = f"One of {', '.join(get_args(Kind))}."
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
# What ssh could take for an option or for several words: whoever writes it is not to start something else by it.
_TARGET = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@:%\[\]-]*")
_Count = Annotated[int, msgspec.Meta(ge=1)]


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `hosts.toml`, or this machine."""

    name: str
    kind: Literal["local"] | Kind = "ssh"
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
    cores: _Count | None = None
    """Where there is no GPU: runs at once, one a core; all cores where left out."""
    runs_per_slot: _Count = 1
    """Runs that share a GPU."""
    price_per_gpu_hour: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """What an hour of a GPU (a core, where there is none) costs: caps can be given as a cost then."""
    jobs: _Count = 50
    """Of a cluster: runs that are in the queue or run at once."""
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    """The time limit of a job, as Slurm writes it: 4:00:00. A run that needs longer goes on in another job."""
    gres: str | None = None
    """What each process of a run gets: gpu:1."""
    cpus: _Count = 1
    """Cores of each process."""
    gpus_per_node: _Count = 1
    """How many processes of one run a node takes; a run of more goes over several nodes."""
    mem: str | None = None
    options: tuple[Annotated[str, msgspec.Meta(pattern=r"^--[^\n]*$")], ...] = ()
    """Further options of sbatch: --constraint=a100."""
    warn_s: _Count = 120
    """Seconds before its time limit that a run is asked to write a checkpoint and end."""

    @property
    def is_local(self) -> bool:
        return self.name == LOCAL


def this_machine(workspace: Workspace) -> Host:
    """The host that is always there."""
    return Host(name=LOCAL, kind="local", workspace=str(workspace.root), python=sys.executable)


def hosts_path(workspace: Workspace) -> str:
    """Where other machines are named: `hosts.toml` in the workspace."""
    return str(workspace.root / "hosts.toml")


def read_hosts(workspace: Workspace) -> dict[str, Host]:
    """The hosts of `hosts.toml` by name. SpecError names table, key and value of all that is wrong."""
    path = workspace.root / "hosts.toml"
    if not path.exists():
        return {}
    try:
        tables = read_toml(path)
    except DataError as error:
        raise as_spec_error(error) from None
    hosts, faults = {}, []
    for name, table in tables.items():
        try:
            hosts[name] = _host(str(path), name, table)
        except SpecError as error:
            faults.append(error)
    if faults:
        raise together(faults)
    return hosts


def known_hosts(workspace: Workspace) -> dict[str, Host]:
    """This machine, and those of `hosts.toml`. SpecError names table, key and value."""
    return {LOCAL: this_machine(workspace)} | read_hosts(workspace)


def known_host(workspace: Workspace, name: str) -> Host:
    """A host by its name. LaunchError names the nearest one; SpecError says what is wrong with the file."""
    if name == LOCAL:  # whatever is wrong with the file
        return this_machine(workspace)
    hosts = known_hosts(workspace)
    if name not in hosts:
        raise LaunchError(
            "there is no host of this name.", where=hosts_path(workspace), value=name, mend=nearest(name, list(hosts))
        )
    return hosts[name]


def _host(path: str, name: str, table: object) -> Host:
    if not _NAME.fullmatch(name) or name in (LOCAL, ALL_HOSTS):
        raise SpecError(
            "this machine needs no table." if name == LOCAL else "not a name for a host.",
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
    for key, value in table.items():
        texts = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
        if any(not (c.isprintable() or (key == "setup" and c in "\n\t")) for text in texts for c in text):
            what = "there are characters in it that cannot be printed."
            raise SpecError(what, where=path, key=f"{name}.{key}", value=value)
    try:
        host = msgspec.convert({"name": name} | table, Host)
    except msgspec.ValidationError as error:
        raise _fault(path, name, table, str(error)) from None
    if host.kind == "local":
        raise SpecError("not a kind of table.", where=path, key=f"{name}.kind", value="local", mend=_KINDS)
    if host.kind == "ssh" and not host.ssh:
        raise SpecError("missing.", where=path, key=f"{name}.ssh", mend="Give what you type after ssh.")
    if host.ssh is not None and not _TARGET.fullmatch(host.ssh):
        raise SpecError("not a name that ssh can be given.", where=path, key=f"{name}.ssh", value=host.ssh)
    if host.kind == "slurm" and host.runs_per_slot > 1:
        mend = 'Ask for a share of one: gres = "shard:1" or "mps:50", as the cluster has it.'
        raise SpecError("a cluster gives out its GPUs itself.", where=path, key=f"{name}.runs_per_slot", mend=mend)
    return host


def _fault(path: str, name: str, table: dict[str, object], said: str) -> SpecError:
    """msgspec's words for what is wrong with a table, as ours."""
    words, _, at = said.partition(" - at `$.")
    key = at.rstrip("`").partition("[")[0] or (words.split("`")[1] if "`" in words else "")
    mend = {
        "kind": _KINDS,
        "options": "Write options such as --constraint=a100.",
    }.get(key, "")
    bound = re.fullmatch(r"Expected `(?:int|float)` (>=?) ([\d.]+)", words)
    if bound:
        least = f"{float(bound[2]):g}"
        words = f"expected more than {least}" if bound[1] == ">" else f"expected {least} or more"
    elif key == "options":
        words = "not an option of sbatch"
    shown = {"value": table[key]} if key in table else {}
    return SpecError(f"{words[:1].lower()}{words[1:]}.", where=path, key=f"{name}.{key}", mend=mend, **shown)
