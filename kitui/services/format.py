"""Figures as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

_SMALLEST_DOSE, _LARGEST_DOSE = 0.01, 1e9


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; '–' for nothing."""
    if value is None:
        return "–"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        return f"{value:.3g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def interval(ends: Sequence[float | None] | None) -> str:
    """[low, high]; an open end is shown as such."""
    if ends is None or all(end is None for end in ends):
        return "–"
    low, high = ends
    return f"[{'<' if low is None else number(low)}, {'>' if high is None else number(high)}]"


def dose(frequency: float | None) -> str:
    """A frequency; what no one could tell from never, or from always, is said so and not spelled out."""
    if frequency is None:
        return "–"
    if frequency < _SMALLEST_DOSE:
        return f"<{_SMALLEST_DOSE:g}"
    return f">{_LARGEST_DOSE:g}" if frequency > _LARGEST_DOSE else number(frequency)


def dose_interval(ends: Sequence[float | None] | None) -> str:
    """An interval of frequencies, its open ends as such."""
    if ends is None or all(end is None for end in ends):
        return "–"
    low, high = ends
    return f"[{'<' if low is None else dose(low)}, {'>' if high is None else dose(high)}]"


def retention(value: float | None) -> str:
    """A retention as tables show it: `.53`."""
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}".replace("0.", ".", 1)


def counted(count: int, noun: str) -> str:
    """1 run, 2 runs, 1,200 runs."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def short_path(path: Path) -> str:
    """As one types it: from here, or from the home folder."""
    path = path.absolute()
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def duration(seconds: float | None) -> str:
    """1 min 20 s, 3 h 5 min, 12 days."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{round(whole / 60)} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole / 86400:,.0f} days" if whole < 86400 * 1000 else f"{whole / 86400 / 365:,.0f} years"


def size_of_bytes(count: float) -> str:
    """Bytes with a unit, three digits."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.3g} {unit}"
        count /= 1000
    return ""
