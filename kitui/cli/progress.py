"""A bar on the terminal for what takes longer than a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from kitui.cli.console import err

_A_MOMENT_S = 1.0


@contextmanager
def fitting_bar(what: str = "curves") -> Iterator[Callable[[int, int], None]]:
    """How many fits of how many are done, as it is told; on a terminal, and only where it takes a while."""
    console, started = err(), time.monotonic()
    shown: list[tuple[Progress, TaskID]] = []
    with ExitStack() as stack:

        def report(done: int, of: int) -> None:
            if not shown and console.is_terminal and time.monotonic() > started + _A_MOMENT_S:
                columns = (TextColumn(f"fitting {what}"), BarColumn(30), MofNCompleteColumn())
                bar = stack.enter_context(Progress(*columns, console=console, transient=True))
                shown.append((bar, bar.add_task("", total=of)))
            for bar, task in shown:
                bar.update(task, completed=done, total=of)

        yield report
