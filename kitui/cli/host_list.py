"""`kitui hosts`, `kitui hosts check` and `kitui doctor`: the machines that runs may go to, and whether they are fit."""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor

from rich.table import Table

from engine.control.hosts.config import LOCAL, hosts_path, known_host, read_hosts
from engine.control.hosts.doctor import Finding
from engine.control.status import status
from engine.control.store import State
from engine.errors import LaunchError
from engine.records.results import SCHEMA_VERSION
from engine.records.workspace import Workspace
from kitui.cli.console import note, out, print_json
from kitui.services.hosts import finding_lines, findings_of, this_machine
from kitui.services.text import printable

_AT_ONCE = 8
_EXAMPLE = """[gpu1]
ssh = "me@gpu1.example.org"     # what you type after ssh
workspace = "~/kitui"           # a folder there
python = "/opt/env/bin/python"  # with PyTorch and kitui's other requirements"""


def list_hosts(workspace: Workspace, *, json: bool) -> None:
    """All hosts with their slots, what was used of them and what is wrong, as far as the supervisor has seen them."""
    known = read_hosts(workspace)  # says what is wrong with the file
    rows = status(workspace, State(workspace))["hosts"]
    if json:
        print_json({"schema_version": SCHEMA_VERSION, "hosts": rows})
        return
    table = Table(box=None, pad_edge=False)
    for column in ("host", "kind", "ssh", "slots", "running", "hours", ""):
        table.add_column(column, justify="right" if column in ("slots", "running", "hours") else "left")
    for row in rows:
        numbers = ("–" if row["slots"] is None else str(row["slots"]), str(row["running"]), f"{row['slot_hours']:.2f}")
        reached = row["ssh"] or (platform.node() if row["name"] == LOCAL else "")
        table.add_row(
            *(printable(words) for words in (row["name"], row["kind"], reached)), *numbers, printable(row["fault"])
        )
    out().print(table)
    if not known:
        note(f"other machines stand in {hosts_path(workspace)}, a table each:\n\n{_EXAMPLE}")


def check_hosts(workspace: Workspace, names: list[str], *, json: bool) -> None:
    """Try each step on these hosts, or on all, side by side. LaunchError at the end where one is not fit."""
    hosts = [known_host(workspace, name) for name in names] if names else list(read_hosts(workspace).values())
    if not hosts:
        raise LaunchError("there are no hosts to check.", where=hosts_path(workspace), mend=f"Write one:\n\n{_EXAMPLE}")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = dict(zip([h.name for h in hosts], pool.map(findings_of, hosts), strict=True))
    _show(found, json=json)


def _show(found: dict[str, list[Finding]], *, json: bool) -> None:
    unfit = [name for name, findings in found.items() if not all(f.right for f in findings)]
    if json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "hosts": [
                    {"name": name, "fit": name not in unfit, "findings": [f._asdict() for f in findings]}
                    for name, findings in found.items()
                ],
            }
        )
    else:
        for name, findings in found.items():
            out().print(name, style="bold", highlight=False, markup=False)
            for line in finding_lines(findings):
                out().print(line, highlight=False, markup=False, soft_wrap=True)
    if unfit:
        raise LaunchError(f"{', '.join(unfit)} not fit to train on.")


def check_this_machine(workspace: Workspace, *, json: bool) -> None:
    """The same of this machine: `kitui doctor`. LaunchError at the end where it is not fit."""
    _show({LOCAL: this_machine(workspace)}, json=json)
