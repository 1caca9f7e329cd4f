"""Telling somebody who looks elsewhere that a sweep has ended, fails or stalls: by the terminal, and by a command of
the user's own."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from typing import NamedTuple

from engine.control.alerts import STANDS_STILL
from engine.records.states import RunStatus
from engine.records.status import StatusDocument, SweepStatus
from kitui.services.format import counted
from kitui.services.text import printable

ENDED, FAILS, STALLS = "ended", "fails", "stalls"


class Happening(NamedTuple):
    """What has become of a sweep."""

    kind: str
    sweep: str
    words: str


def happenings(before: StatusDocument, now: StatusDocument) -> list[Happening]:
    """What is worth being called for, between two looks at a workspace."""
    earlier = {row.name: row for row in before.sweeps}
    return [
        found for row in now.sweeps if row.name in earlier and (found := _happening(earlier[row.name], row)) is not None
    ]


def _happening(before: SweepStatus, now: SweepStatus) -> Happening | None:
    """The weightiest thing alone: an end says how many have failed."""
    if before.num_open and not now.num_open and not now.num(RunStatus.PAUSED):
        failed = f", {now.num_in_trouble:,} in trouble" if now.num_in_trouble else ""
        return Happening(
            ENDED, now.name, f"{now.name} ended: {now.num(RunStatus.DONE):,} of {now.cells:,} done{failed}"
        )
    more = now.num_in_trouble - before.num_in_trouble
    if more > 0:
        return Happening(FAILS, now.name, f"{now.name}: {counted(more, 'run')} failed")
    new = [alert for alert in now.alerts if alert not in before.alerts and STANDS_STILL in alert]
    if new and now.num_open:
        return Happening(STALLS, now.name, f"{now.name}: {new[0]}")
    return None


def terminal_notice(words: str) -> str:
    """What makes a terminal call: its bell, and notifications by OSC 9 (iTerm2, kitty, Windows Terminal, WezTerm) and
    OSC 777 (foot, urxvt, Ghostty); those that know neither pass over them. In tmux, in its envelope."""
    text = printable(words).replace(";", ",").replace("\n", " ")[:200]
    codes = [f"\x1b]9;{text}\a", f"\x1b]777;notify;kitui;{text}\a"]
    if os.environ.get("TMUX"):
        codes = [f"\x1bPtmux;{code.replace(chr(27), chr(27) * 2)}\x1b\\" for code in codes]
    return "\a" + "".join(codes)


def run_own_command(command: str, happening: Happening) -> None:
    """The user's `on_end`, with what happened in its arguments: kind, sweep, words. No shell reads them. It is not
    waited for. OSError where it cannot be started."""
    argv = [*shlex.split(command), *happening]
    with contextlib.ExitStack() as stack:
        nothing = stack.enter_context(open(os.devnull, "r+b"))
        subprocess.Popen(argv, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
