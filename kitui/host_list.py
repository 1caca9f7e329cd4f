"""`kitui hosts` and `kitui hosts check`: the machines that runs may go to, and whether they are fit for it."""

from __future__ import annotations

import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.table import Table

from engine.control.checkup import Finding, check_host
from engine.control.hosts import LOCAL, Host, hosts_path, known_host, read_hosts
from engine.control.status import status
from engine.control.store import State
from engine.errors import KituiError, LaunchError
from engine.records.results import SCHEMA_VERSION
from engine.records.workspace import Workspace
from kitui.console import note, out, print_json, printable

_AT_ONCE = 8
_EXAMPLE = """[gpu1]
ssh = "me@gpu1.example.org"     # what you type after ssh
workspace = "~/kitui"           # a folder there
python = "/opt/env/bin/python"  # with PyTorch and kitui's other requirements"""


def list_hosts(workspace: Workspace, *, json: bool) -> None:
    """All hosts with their slots and what is wrong with them, as far as the supervisor has seen them."""
    known = read_hosts(workspace)
    seen = {row["name"]: row for row in status(workspace, State(workspace))["hosts"]}
    rows = [_row(name, known.get(name), seen.get(name)) for name in (LOCAL, *known)]
    if json:
        print_json({"schema_version": SCHEMA_VERSION, "hosts": rows})
        return
    table = Table(box=None, pad_edge=False)
    for column in ("host", "kind", "ssh", "slots", "running", ""):
        table.add_column(column, justify="right" if column in ("slots", "running") else "left")
    for row in rows:
        numbers = ("–" if row[key] is None else str(row[key]) for key in ("slots", "running"))
        table.add_row(
            *(printable(row[key] or "") for key in ("name", "kind", "ssh")), *numbers, printable(row["fault"])
        )
    out().print(table)
    if not known:
        note(f"other machines stand in {hosts_path(workspace)}, a table each:\n\n{_EXAMPLE}")


def _row(name: str, host: Host | None, seen: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": name,
        "kind": host.kind if host else LOCAL,
        "ssh": host.ssh if host else platform.node(),
        "workspace": host.workspace if host else None,
        "slots": seen["slots"] if seen else None,
        "running": seen["running"] if seen else None,
        "fault": seen["fault"] if seen else "",
    }


def check_hosts(workspace: Workspace, names: list[str], *, json: bool) -> None:
    """Try each step on these hosts, or on all, side by side. LaunchError at the end where one is not fit."""
    hosts = [known_host(workspace, name) for name in names] if names else list(read_hosts(workspace).values())
    if not hosts:
        raise LaunchError("there are no hosts to check.", where=hosts_path(workspace), mend=f"Write one:\n\n{_EXAMPLE}")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = dict(zip([h.name for h in hosts], pool.map(_findings, hosts), strict=True))
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
            for finding in findings:
                sign = "✓" if finding.right else "✗"
                words = f"  {sign} {finding.name:<10} {printable(finding.words)}"
                out().print(words, highlight=False, markup=False, soft_wrap=True)
                if finding.mend:
                    out().print(f"      {printable(finding.mend)}", highlight=False, markup=False, soft_wrap=True)
    if unfit:
        raise LaunchError(f"{', '.join(unfit)} not fit to train on.")


def check_this_machine(workspace: Workspace, *, json: bool) -> None:
    """The same of this machine: `kitui doctor`. LaunchError at the end where it is not fit."""
    here = Host(name=LOCAL, workspace=str(workspace.root), python=sys.executable)
    tools = ("ssh", "rsync", "sbatch", "nvidia-smi")
    words = ", ".join(f"{name}{'' if shutil.which(name) else ' is missing'}" for name in tools)
    found = [*_findings(here), Finding("tools", True, f"for other machines and GPUs: {words}")]
    _show({LOCAL: found}, json=json)


def _findings(host: Host) -> list[Finding]:
    try:
        return list(check_host(host))
    except KituiError as error:
        return [Finding("answer", False, error.what, error.mend)]
