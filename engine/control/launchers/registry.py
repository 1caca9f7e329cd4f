"""The launcher of each host."""

from __future__ import annotations

from engine.control.launchers.base import Launcher
from engine.control.launchers.kinds import KINDS
from engine.control.launchers.local import LocalLauncher
from engine.control.launchers.remote import RemoteLauncher
from engine.control.transport.registry import transport_to
from engine.records.hosts import Host
from engine.records.workspace import Workspace


def launcher_of(workspace: Workspace, host: Host) -> Launcher:
    """The launcher of a host, by its kind."""
    if host.kind == "local":
        return LocalLauncher(workspace, host)
    return RemoteLauncher(workspace, host, KINDS[host.kind], transport_to(host))
