"""Questions on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from rich.prompt import Confirm, Prompt

from engine.control.commands.queue import OlderSupervisorError, restart_supervisor
from engine.errors import SpecError
from engine.records.hosts import known_host
from engine.records.states import LOCAL
from engine.records.workspace import Workspace
from kitui.cli.console import err, note
from kitui.services.caps import cap_of
from kitui.services.format import number

_T = TypeVar("_T")


def confirm(question: str) -> None:
    """Ask before something is removed for good; no ends the command (exit code 1), and Ctrl-C as everywhere (130)."""
    try:
        agreed = Confirm.ask(question, default=False, console=err())
    except EOFError:  # ctrl-d
        agreed = False
    if not agreed:
        note("nothing is removed")
        raise SystemExit(1)


def ask_for_caps(
    workspace: Workspace, hosts: list[str], gpu_hours: Callable[[], float], known: dict[str, float | None]
) -> None:
    """On a terminal, ask for a cap on each other machine that was given none. `known` takes the answers."""
    asked = [host for host in hosts if host != LOCAL and host not in known]
    if not asked or not sys.stdin.isatty() or not sys.stderr.isatty():
        return
    note(f"the runs still to train take about {number(gpu_hours())} GPU-hours in all")
    for name in asked:
        host = known_host(workspace, name)
        price = f", or $ and a sum at {host.price_per_gpu_hour:g} an hour" if host.price_per_gpu_hour else ""
        while name not in known:
            words = Prompt.ask(f"At most how many GPU-hours on {name}{price}?", default="none", console=err())
            try:
                known[name] = cap_of(host, words, f"{name}={words}")
            except SpecError as error:
                note(str(error))


def with_current_supervisor(workspace: Workspace, act: Callable[[], _T]) -> _T:
    """Do what needs the supervisor; where one of an older kitui runs, offer on a terminal to replace it first."""
    try:
        return act()
    except OlderSupervisorError as error:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        note(error.what)
        if not Confirm.ask("Replace it? All runs go on.", default=True, console=err()):
            raise
        restart_supervisor(workspace)
        return act()
