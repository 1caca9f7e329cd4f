"""What a sweep may cost on a host: caps on GPU-hours, given as such or as a sum of money."""

from __future__ import annotations

import math

from engine.errors import SpecError
from engine.records.hosts import Host, known_host
from engine.records.states import ALL_HOSTS
from engine.records.workspace import Workspace


def caps_of(workspace: Workspace, words: list[str]) -> dict[str, float | None]:
    """GPU-hours by host from `gpu1=20`, `gpu1=$50` or `gpu1=none`, and on all hosts together from `all=20`. SpecError
    says what is wrong with one."""
    caps = {}
    for word in words:
        name, _, amount = word.partition("=")
        caps[name] = cap_of(None if name == ALL_HOSTS else known_host(workspace, name), amount, word)
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
            mend="Give the host a price_per_gpu_hour in hosts.toml, or a cap in GPU-hours."
            if host is not None
            else "Prices differ from host to host: give GPU-hours.",
        )
    return number / price
