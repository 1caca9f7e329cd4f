"""What a shape of retention curve is: a rise, a plateau and a fall, as functions of x = log2 F.

A fact set's mean accuracy is 1/k + (1 − 1/k)·g(x). All shapes share one layout of parameters, so that one solver and
one set of starts serve them all:

    h   the plateau;  u, v   how much of it there is before the rise and after the fall;
    a, c   places of rise and fall;  ln w₁, ln w₂   their widths in octaves (what they mean is the shape's own).

Shape suffixes: B problems side by side, P parts, J doses, X places on the dose axis, 7 parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUM_PARAMETERS = 7
H, U, V, A, LOG_W1, C, LOG_W2 = range(NUM_PARAMETERS)
HIGHEST_LEVEL = 0.9995
NARROWEST_OCTAVES = 0.04


@dataclass(frozen=True)
class Shape:
    """One family of curves. `SHAPES` (in this folder) has them all."""

    name: str
    """As documents say it."""
    levels_and_gradient: Callable[[Array, Array], tuple[Array, Array]]
    """(theta [..., 7], x [..., X]) gives g [..., X] and its derivatives [..., 7, X]."""
    levels: Callable[[Array, Array], Array]
    """The same without derivatives."""
    widest_octaves: Callable[[float], float]
    """The largest width of rise and fall, for doses that span so many octaves."""
    start_octaves: Callable[[float], tuple[float, ...]]
    """Widths to start from."""
    fall_within: Callable[[Array, Array], tuple[Array, Array]]
    """(start and length of a gap between doses) gives c and w₂ of a fall that leaves the doses at its ends alone."""
    rise_within: Callable[[Array, Array], tuple[Array, Array]]
    """The same of a and w₁, for a rise."""

    def box(self, doses: Array) -> tuple[Array, Array]:
        """Least and largest value of each parameter, [..., 7], for tested log2 doses [..., J]."""
        first, last = doses[..., 0], doses[..., -1]
        ones = np.ones_like(first)
        narrow, wide = np.log(NARROWEST_OCTAVES), np.log([self.widest_octaves(s) for s in np.ravel(last - first)])
        wide = np.reshape(wide, first.shape)
        low = np.stack([0 * ones, 0 * ones, 0 * ones, first - 2, narrow * ones, first - 1, narrow * ones], axis=-1)
        high = np.stack([HIGHEST_LEVEL * ones, ones, ones, last + 1, wide, last + 3, wide], axis=-1)
        return low, high


def parameters(theta: Array) -> tuple[Array, ...]:
    """The seven, each [..., 1], to be set against places."""
    return tuple(theta[..., i, None] for i in range(NUM_PARAMETERS))
