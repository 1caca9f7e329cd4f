"""The machines that runs may go to, and whether they are fit: `kitui hosts`, `kitui doctor`, the app's Hosts screen."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from engine.control.hosts.doctor import Finding, check_host
from engine.errors import KituiError
from engine.records.hosts import Host
from engine.records.record import SCHEMA_VERSION, Record
from engine.records.status import HostStatus
from kitui.services.format import counted
from kitui.services.text import printable

EXAMPLE = """[gpu1]
ssh = "me@gpu1.example.org"     # what you type after ssh
workspace = "~/kitui"           # a folder there
python = "/opt/env/bin/python"  # with PyTorch and kitui's other requirements"""
_TOOLS = ("ssh", "rsync", "sbatch", "nvidia-smi")


class HostsDocument(Record, frozen=True, kw_only=True):
    """`kitui hosts --json`."""

    schema_version: int = SCHEMA_VERSION
    hosts: tuple[HostStatus, ...]


class CheckedHost(Record, frozen=True, kw_only=True):
    name: str
    fit: bool
    findings: tuple[dict[str, str | bool], ...]


class ChecksDocument(Record, frozen=True, kw_only=True):
    """`kitui hosts check --json` and `kitui doctor --json`."""

    schema_version: int = SCHEMA_VERSION
    hosts: tuple[CheckedHost, ...]
    workspace: CheckedHost | None = None
    """Of `kitui doctor`."""


def findings_of(host: Host) -> list[Finding]:
    """Each step tried on a host, up to one that stops the rest; of this machine also the tools for others."""
    try:
        found = list(check_host(host))
    except KituiError as error:
        return [Finding("answer", False, error.what, error.mend)]
    if host.is_local:
        words = ", ".join(f"{name}{'' if shutil.which(name) else ' is missing'}" for name in _TOOLS)
        found.append(Finding("tools", True, f"for other machines and GPUs: {words}"))
    return found


def checked(name: str, findings: Sequence[Finding]) -> CheckedHost:
    fit = all(finding.right for finding in findings)
    return CheckedHost(name=name, fit=fit, findings=tuple(finding._asdict() for finding in findings))


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    lines = []
    for finding in findings:
        lines.append(f"  {'✓' if finding.right else '✗'} {finding.name:<10} {printable(finding.words)}")
        if finding.mend:
            lines.append(f"      {printable(finding.mend)}")
    return lines


def host_line(host: HostStatus) -> str:
    """What is busy on a host, and what is wrong with it, in a line."""
    if host.slots is None:
        return f"{host.name}: not met yet"
    words = f"{host.name}: {host.running} of {counted(host.slots, 'slot')} with a run"
    return f"{words}; {host.fault}" if host.fault else words
