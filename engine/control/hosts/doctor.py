"""Is a host fit to train on? Each step is tried, and what is wrong comes with its mend."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from engine.control.launchers.kinds import KINDS, HostKind
from engine.control.launchers.remote import OLDEST_PYTHON
from engine.control.transport.base import Hello, Transport
from engine.control.transport.registry import transport_to
from engine.errors import LaunchError
from engine.records.hosts import Host

_LEAST_FREE_BYTES = 5e9
_LARGEST_SKEW_S = 5.0


class Finding(NamedTuple):
    """One thing looked at: whether it is right, what was found, and what to do where it is not."""

    name: str
    right: bool
    words: str
    mend: str = ""


def check_host(host: Host) -> Iterator[Finding]:
    """Reach, Python, workspace and disk, what training needs, slots, clock: in this order, until one stops the rest."""
    transport = transport_to(host)
    own = host.is_local  # the workspace that kitui itself works in
    started = time.monotonic()
    try:
        there = transport.ask("hello", Hello, modules=True, tokens=host.tokens, own=own)
    except LaunchError as error:
        yield Finding("reach", False, error.what, error.mend)
        return
    took_s = time.monotonic() - started
    asked_s = time.time()
    clock_s = transport.ask("hello", Hello, own=own).time_s
    rtt_s = time.time() - asked_s
    name = host.ssh or "this machine"
    yield Finding("reach", True, f"{name} is {there.node}; connected in {took_s:.1f} s, asked in {rtt_s:.2f} s")
    yield _python(there)
    free = there.free_bytes
    enough = free >= _LEAST_FREE_BYTES
    mend = "" if enough else "Free some space, or set another `workspace` in hosts.toml."
    yield Finding("workspace", enough, f"{there.workspace} can be written; {free / 1e9:.3g} GB free", mend)
    missing = ", ".join(there.missing)
    words = f"missing: {missing}" if missing else "PyTorch and what else training needs is there"
    mend = f"There: {there.executable} -m pip install kitui" if missing else ""
    yield Finding("training", not missing, words, mend)
    kind = KINDS[host.kind]
    slots = kind.slots(host, there)
    gpus = ", ".join(f"{g.index}: {g.name}, {g.memory_bytes / 2**30:.0f} GiB" for g in there.gpus)
    words = f"no GPU, {there.cores} cores"
    yield Finding("slots", True, f"{len(slots)} at once: {gpus or words}")
    skew_s = clock_s - (asked_s + rtt_s / 2)
    skewed = abs(skew_s) > _LARGEST_SKEW_S + rtt_s / 2
    yield from _scheduler(kind, transport)
    words = f"{abs(skew_s):.1f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
    yield Finding("clock", not skewed, words, "Times of events will look odd; runs do not mind." if skewed else "")


def _scheduler(kind: HostKind, transport: Transport) -> Iterator[Finding]:
    try:
        words = kind.about_scheduler(transport)
    except LaunchError as error:
        yield Finding(kind.scheduler, False, error.what, error.mend)
        return
    if words:
        yield Finding(kind.scheduler, True, words)


def _python(there: Hello) -> Finding:
    words = f"{'.'.join(map(str, there.python))}, {there.executable}"
    if there.python[:2] < OLDEST_PYTHON:
        return Finding("Python", False, words, "Python 3.11 or newer: set `python` or `setup` in hosts.toml.")
    return Finding("Python", True, words)
