"""Questions on a terminal."""

from __future__ import annotations

import sys

from rich.prompt import Prompt

from engine.control.hosts.config import LOCAL, known_host
from engine.errors import SpecError
from engine.records.workspace import Workspace
from kitui.cli.console import err, note
from kitui.services.caps import cap_of
from kitui.services.format import number


def ask_for_caps(workspace: Workspace, hosts: list[str], gpu_hours: float, known: dict[str, float | None]) -> None:
    """On a terminal, ask for a cap on each other machine that was given none. `known` takes the answers."""
    asked = [host for host in hosts if host != LOCAL and host not in known]
    if not asked or not sys.stdin.isatty() or not sys.stderr.isatty():
        return
    note(f"the runs still to train take about {number(gpu_hours)} GPU-hours in all")
    for name in asked:
        host = known_host(workspace, name)
        price = f", or $ and a sum at {host.price_per_gpu_hour:g} an hour" if host.price_per_gpu_hour else ""
        while name not in known:
            words = Prompt.ask(f"At most how many GPU-hours on {name}{price}?", default="none", console=err())
            try:
                known[name] = cap_of(host, words, f"{name}={words}")
            except SpecError as error:
                note(str(error))
