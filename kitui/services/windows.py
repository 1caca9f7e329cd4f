"""The usable window: from where facts are acquired to where memory collapses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.records.analysis import CollapsePoint


def usable_window(points: Sequence[CollapsePoint]) -> tuple[float, float] | None:
    """From where every size has acquired the facts to where none has collapsed, if there is such a stretch."""
    observed = [p for p in points if p.collapse_frequency is not None]
    acquired = [p.acquisition_frequency for p in observed if p.acquisition_frequency is not None]
    if not observed or len(acquired) < len(observed):
        return None
    low, high = max(acquired), min(p.collapse_frequency or math.inf for p in observed)
    return (low, high) if low < high else None
