"""Intervals as documents have them."""

from __future__ import annotations

Interval = tuple[float | None, float | None]
"""95 %; an end may be open."""
ClosedInterval = tuple[float, float]
