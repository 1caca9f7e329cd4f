"""`kitui hosts` and `kitui hosts check`: the machines that runs may go to, and whether they are fit for it."""

from __future__ import annotations

import shutil
import sys

from engine.control.hosts.config import LOCAL, Host
from engine.control.hosts.doctor import Finding, check_host
from engine.errors import KituiError
from engine.records.workspace import Workspace
from kitui.services.text import printable

_AT_ONCE = 8
_EXAMPLE = """[gpu1]
ssh = "me@gpu1.example.org"     # what you type after ssh
workspace = "~/kitui"           # a folder there
python = "/opt/env/bin/python"  # with PyTorch and kitui's other requirements"""


def finding_lines(findings: list[Finding]) -> list[str]:
    lines = []
    for finding in findings:
        lines.append(f"  {'✓' if finding.right else '✗'} {finding.name:<10} {printable(finding.words)}")
        if finding.mend:
            lines.append(f"      {printable(finding.mend)}")
    return lines


def this_machine(workspace: Workspace) -> list[Finding]:
    here = Host(name=LOCAL, workspace=str(workspace.root), python=sys.executable)
    tools = ("ssh", "rsync", "sbatch", "nvidia-smi")
    words = ", ".join(f"{name}{'' if shutil.which(name) else ' is missing'}" for name in tools)
    return [*findings_of(here), Finding("tools", True, f"for other machines and GPUs: {words}")]


def findings_of(host: Host) -> list[Finding]:
    """Each step tried on a host, up to one that stops the rest."""
    try:
        return list(check_host(host))
    except KituiError as error:
        return [Finding("answer", False, error.what, error.mend)]
