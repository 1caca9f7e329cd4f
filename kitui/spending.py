"""What a sweep may cost on a host: caps on GPU-hours, given as such or as a sum of money."""

from __future__ import annotations

import math
import sys

from engine.control.hosts import LOCAL, Host, known_host
from engine.errors import SpecError
from engine.records.workspace import Workspace


def caps_of(workspace: Workspace, words: list[str]) -> dict[str, float | None]:
    """GPU-hours by host from `gpu1=20`, `gpu1=$50` or `gpu1=none`. SpecError says what is wrong with one."""
    caps = {}
    for word in words:
        name, _, amount = word.partition("=")
        host = None if name == LOCAL else known_host(workspace, name)
        caps[name] = cap_of(host, amount, word)
    return caps


def cap_of(host: Host | None, amount: str, shown: str) -> float | None:
    """GPU-hours from a number of them, from `$` and a sum at the host's price, or None from `none`."""
    text = amount.strip().lower()
    if text == "none":
        return None
    price = host.price_per_gpu_hour if host is not None else None
    try:
        number = float(text.removeprefix("$"))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        mend = "Write HOST=20 for GPU-hours, HOST=$50 for a cost, HOST=none for no cap."
        raise SpecError("not a cap.", key="--cap", value=shown, mend=mend)
    if not text.startswith("$"):
        return number
    if price is None:
        raise SpecError(
            "what a GPU-hour costs there is not known.",
            key="--cap",
            value=shown,
            mend="Give the host a price_per_gpu_hour in hosts.toml, or a cap in GPU-hours.",
        )
    return number / price


def ask_for_caps(workspace: Workspace, hosts: list[str], gpu_hours: float, known: dict[str, float | None]) -> None:
    """On a terminal, ask for a cap on each other machine that was given none. `known` takes the answers."""
    asked = [host for host in hosts if host != LOCAL and host not in known]
    if not asked or not sys.stdin.isatty() or not sys.stderr.isatty():
        return
    from rich.prompt import Prompt

    from kitui.console import err, note
    from kitui.format import number

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
