"""Colours and markers of model sizes: the same on every screen and in every figure, from light (small) to dark (large).

A sequential scale, so that the order of sizes is seen, cut from Matplotlib's plasma, whose lightness falls evenly also
for colour-blind eyes; what lies too near to the ground is left out. A marker a size besides: colour never tells alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

ON_DARK = ("#f0f921", "#fcd225", "#fdac33", "#f58b47", "#e66c5c", "#d45270", "#c44a94", "#b23fb4")
ON_LIGHT = ("#de5f65", "#cb4679", "#b12a90", "#9511a1", "#7401a8", "#5002a2", "#2d0594", "#0d0887")
ANSI = (
    "bright_yellow", "yellow", "bright_red", "red", "bright_magenta", "magenta", "bright_blue", "blue",
)  # fmt: skip
MARKERS = ("●", "■", "▲", "◆", "✚", "★", "✖", "◉")
"""In the terminal; figures have their own for the same places."""


class Look(NamedTuple):
    """How a size is drawn."""

    colour: int
    """A place in the scales."""
    marker: int
    """A place in the markers."""


def looks(sizes: Iterable[float]) -> dict[float, Look]:
    """The look of each of these sizes: colours spread over the scale, markers in their order. More than eight sizes
    share neighbours' colours, and none its neighbour's marker."""
    ordered = sorted(set(sizes))
    steps = max(1, len(ordered) - 1)
    last = len(ON_DARK) - 1
    return {size: Look(round(i * last / steps), i % len(MARKERS)) for i, size in enumerate(ordered)}
