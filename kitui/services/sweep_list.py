"""The list of sweeps: which of them, in which order, and how each reads in a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engine.records.states import RunStatus
from engine.records.status import SweepStatus
from kitui.services.format import duration
from kitui.services.text import printable

BAR_SIGNS = ("█", "▒", "·", "!")
"""Of a bar of progress: done, running, waiting or paused, failed or cancelled. What is said of no cell stays blank."""
_DAY_S = 86400.0


class SweepColumn(NamedTuple):
    key: str
    label: str
    width: int
    text: Callable[[SweepStatus], str]
    right: bool = True
    is_wanted: Callable[[SweepStatus], object] = lambda _row: True
    """The column is shown where it is for any sweep."""


def progress_bar(row: SweepStatus, width: int) -> str:
    """What has become of the cells, in four parts: as many signs each as its share, and one where there is any."""
    numbers = (
        row.num(RunStatus.DONE),
        row.num(RunStatus.RUNNING, RunStatus.UNREACHABLE, RunStatus.INTERRUPTED),
        row.num_waiting + row.num(RunStatus.PAUSED),
        row.num_in_trouble + row.num(RunStatus.CANCELLED),
    )
    return "".join(sign * size for sign, size in zip(BAR_SIGNS, _shares(numbers, width), strict=True))


def _shares(numbers: Sequence[int], width: int) -> list[int]:
    """`width` divided as the numbers are, to whole parts; none that is there goes without, and none is filled up that
    others have a share in."""
    total = sum(numbers)
    if not total:
        return [0 for _ in numbers]
    sizes = [max(1, width * number // total) if number else 0 for number in numbers]
    while sum(sizes) != width:
        over = 1 if sum(sizes) > width else -1
        exact = [width * number / total for number in numbers]
        there = [i for i, number in enumerate(numbers) if number and (over < 0 or sizes[i] > 1)]
        if not there:
            break
        sizes[max(there, key=lambda i: over * (sizes[i] - exact[i]))] -= over
    return sizes


def _name(row: SweepStatus) -> str:
    return printable(row.name) + (" (simulated)" if row.simulated else "") + (" (archived)" if row.archived else "")


def _running(row: SweepStatus) -> str:
    doubtful = "?" if row.num(RunStatus.UNREACHABLE, RunStatus.INTERRUPTED) else ""
    return f"{row.num(RunStatus.RUNNING) or ''}{doubtful}"


def _eta(row: SweepStatus) -> str:
    return duration(row.eta_s) if row.eta_s is not None else "paused" if _is_held(row) else ""


def _is_held(row: SweepStatus) -> bool:
    return bool(row.num(RunStatus.PAUSED)) and not row.num_open


def _launched(row: SweepStatus) -> str:
    """The day; of the last day, the time."""
    if row.launched_s is None:
        return ""
    then = time.localtime(row.launched_s)
    return time.strftime("%H:%M" if time.time() - row.launched_s < _DAY_S else "%Y-%m-%d", then)


_DONE = SweepColumn("done", "done", 11, lambda row: f"{row.num(RunStatus.DONE):,}/{row.cells:,}")
_REST = (
    SweepColumn("running", "run", 4, _running),
    SweepColumn("waiting", "wait", 6, lambda row: f"{row.num_waiting or ''}"),
    SweepColumn("paused", "paused", 6, lambda row: f"{row.num(RunStatus.PAUSED) or ''}",
                is_wanted=lambda row: row.num(RunStatus.PAUSED)),
    SweepColumn("failed", "fail", 5, lambda row: f"! {row.num_in_trouble}" if row.num_in_trouble else ""),
    SweepColumn("cancelled", "canc.", 5, lambda row: f"{row.num(RunStatus.CANCELLED) or ''}",
                is_wanted=lambda row: row.num(RunStatus.CANCELLED)),
    SweepColumn("eta", "ETA", 10, _eta),
)  # fmt: skip
_DATE = SweepColumn("launched", "launched", 10, _launched)
_BARS = (24, 16, 10, 8)
_SHORTEST_NAME = 12


def sweep_columns(rows: Sequence[SweepStatus], room: int) -> list[SweepColumn]:
    """The columns that fit in so many cells: names whole first, then what is asked of every sweep, then the date, then
    a longer bar."""
    longest = max([_SHORTEST_NAME, *(len(_name(row)) for row in rows)])
    rest = [_DONE, *(column for column in _REST if any(column.is_wanted(row) for row in rows))]
    taken = sum(column.width + 1 for column in rest)
    dates = [_DATE] if room - taken - (_BARS[-1] + 1) - (_DATE.width + 1) >= longest else []
    taken += sum(column.width + 1 for column in dates)
    bar = next((width for width in _BARS if room - taken - (width + 1) >= longest), _BARS[-1])
    width = max(_SHORTEST_NAME, min(longest, room - taken - (bar + 1)))
    return [
        SweepColumn("name", "sweep", width, _name, right=False),
        SweepColumn("progress", "progress", bar, lambda row: progress_bar(row, bar), right=False),
        *rest,
        *dates,
    ]


_SORTS: dict[str, Callable[[SweepStatus], Any]] = {
    "name": lambda row: row.name,
    "launched": lambda row: -(row.launched_s or 0.0),
    "done": lambda row: row.num(RunStatus.DONE) / max(1, row.cells),
    "failed": lambda row: -row.num_in_trouble,
    "eta": lambda row: row.eta_s if row.eta_s is not None else float("inf"),
}
SORTS = tuple(_SORTS)
"""What the list may be sorted by; dates and faults begin with the greatest."""


def sweep_list(
    rows: Sequence[SweepStatus], *, words: str = "", sort: str = SORTS[0], with_archived: bool = False
) -> list[SweepStatus]:
    """Those whose line has all of these words, sorted."""
    wanted = words.lower().split()
    kept = [
        row
        for row in rows
        if (with_archived or not row.archived) and all(word in _name(row).lower() for word in wanted)
    ]
    return sorted(kept, key=_SORTS[sort])
