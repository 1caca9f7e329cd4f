"""`kitui hosts`, `kitui hosts check` and `kitui doctor`, printed."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from rich.table import Table

from engine.control.hosts.doctor import Finding
from engine.control.ledger.state_file import State
from engine.control.status import status
from engine.errors import LaunchError, StateError
from engine.records.hosts import Host, hosts_path, known_host, read_hosts, this_machine
from engine.records.states import LOCAL
from engine.records.workspace import Workspace
from kitui.cli.base import order
from kitui.cli.console import note, out, print_json
from kitui.cli.verifying import damaged_of
from kitui.services.doctor import workspace_findings
from kitui.services.engine_commands import verify
from kitui.services.hosts import EXAMPLE, ChecksDocument, HostsDocument, checked, finding_lines, findings_of
from kitui.services.text import printable

_AT_ONCE = 8


def list_hosts(workspace: Workspace, *, json: bool) -> None:
    """All hosts with their slots, what was used of them and what is wrong, as far as the supervisor has met them."""
    known = read_hosts(workspace)  # says what is wrong with the file
    rows = status(workspace, State(workspace)).hosts
    if json:
        print_json(HostsDocument(hosts=rows))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("host", "kind", "ssh", "slots", "running", "hours", ""):
        table.add_column(column, justify="right" if column in ("slots", "running", "hours") else "left")
    for row in rows:
        numbers = ("–" if row.slots is None else str(row.slots), str(row.running), f"{row.slot_hours:.2f}")
        reached = row.ssh or (platform.node() if row.name == LOCAL else "")
        table.add_row(*(printable(words) for words in (row.name, row.kind, reached)), *numbers, printable(row.fault))
    out().print(table)
    if not known:
        note(f"other machines stand in {hosts_path(workspace)}, a table each:\n\n{EXAMPLE}")


def check_hosts(workspace: Workspace, names: list[str], *, json: bool) -> None:
    """Try each step on these hosts, or on all, side by side. LaunchError at the end where one is not fit."""
    hosts = [known_host(workspace, name) for name in names] if names else list(read_hosts(workspace).values())
    if not hosts:
        raise LaunchError("there are no hosts to check.", where=hosts_path(workspace), mend=f"Write one:\n\n{EXAMPLE}")
    _check(hosts, json=json)


def check_this_machine(workspace: Workspace, *, files: bool, mend: bool, json: bool) -> None:
    """The same of this machine, and of the workspace: `kitui doctor`. With `mend`, what is damaged is made anew first.
    LaunchError at the end where one is not sound."""
    if mend:
        _mend(workspace)
    _check([this_machine(workspace)], [Checked("workspace", [*workspace_findings(workspace, files=files)])], json=json)


def _mend(workspace: Workspace) -> None:
    if not workspace.root.exists():
        return
    workspace.create()  # as it should be: nobody else is to look into it
    mendable, _imported = damaged_of(workspace, verify(workspace, workspace.sweep_names()))
    if mendable:
        order(workspace, "mend", mendable)


class Checked(NamedTuple):
    """What was looked at, and what was found."""

    name: str
    findings: Sequence[Finding]


def _check(hosts: Sequence[Host], others: Sequence[Checked] = (), *, json: bool) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(findings_of, hosts))
    of_hosts = [Checked(host.name, findings) for host, findings in zip(hosts, found, strict=True)]
    document = ChecksDocument(
        hosts=tuple(checked(*one) for one in of_hosts), workspace=next((checked(*one) for one in others), None)
    )
    if json:
        print_json(document)
    else:
        for one in (*of_hosts, *others):
            out().print(one.name, style="bold", highlight=False, markup=False)
            for line in finding_lines(one.findings):
                out().print(line, highlight=False, markup=False, soft_wrap=True)
    unfit = [host.name for host in document.hosts if not host.fit]
    if unfit:
        raise LaunchError(f"{', '.join(unfit)} not fit to train on.")
    if document.workspace is not None and not document.workspace.fit:
        raise StateError("the workspace is not sound.")
