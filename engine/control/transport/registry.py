"""Which way leads to which host."""

from __future__ import annotations

from engine.control.transport.base import Transport
from engine.control.transport.local_process import LocalProcess
from engine.control.transport.ssh import Ssh
from engine.records.hosts import Host


def transport_to(host: Host) -> Transport:
    """How this host's agent is reached."""
    return Ssh(host) if host.ssh else LocalProcess(host)
