"""Collapse points that were found elsewhere, with bounds: a table of them is enough for a law.

One row a size: `frequency_collapse`, with `lower` and `upper` as the ends of a 95 % interval, or alone (then it counts
as exact). Without `frequency_collapse` the bounds are all that is known: F* is at least `lower`, at most `upper`, or
anywhere between the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.analysis.collapse import Collapse
from engine.analysis.law_points import Profile
from engine.records.analysis import AS_GIVEN, CollapsePoint, Verdict
from engine.records.conditions import Condition

POINT_COLUMN = "frequency_collapse"
_EXACT = 0.02
"""The error in ln F of a point without bounds: no law is finer than that."""
_LOWEST, _NUM_GRID, _REACH = -50.0, 193, 6.0


def given_collapse(condition: Condition, read: Callable[[str], float | None]) -> Collapse:
    """What a row says of its size's F*. ValueError where it says nothing, or its bounds are out of order."""
    frequency, lower, upper = (read(column) for column in (POINT_COLUMN, "lower", "upper"))
    known = [value for value in (lower, frequency, upper) if value is not None]
    if not known:
        raise ValueError(f"expected {POINT_COLUMN}, lower or upper")
    if known != sorted(known):
        raise ValueError(f"expected lower ≤ {POINT_COLUMN} ≤ upper")
    status: Verdict = "observed" if frequency else "left_censored" if upper else "right_censored"
    point = CollapsePoint(
        condition=condition,
        status=status,
        collapse_frequency=frequency,
        interval=(lower if status != "left_censored" else None, upper),
        half_drop_frequency=None,
        best_frequency=None,
        drop=None,
        shape=None,
        p_value_no_collapse=None,
        acquisition_frequency=None,
        reason=AS_GIVEN,
    )
    return Collapse(point, given=_profile(frequency, lower, upper))


def _profile(frequency: float | None, lower: float | None, upper: float | None) -> Profile:
    """Of an estimate, two halves of normal curves whose 95 % ends are the bounds; of bounds alone, all between."""
    if frequency is not None:
        at = math.log(frequency)
        below, above = (max(abs(math.log(end) - at) / 1.96, _EXACT) if end else None for end in (lower, upper))
        errors = (below or above or _EXACT, above or below or _EXACT)
        grid = np.linspace(at - _REACH * errors[0], at + _REACH * errors[1], _NUM_GRID)
        loglik = -0.5 * ((grid - at) / np.where(grid < at, *errors)) ** 2
        return Profile(grid, np.maximum(loglik, _LOWEST), _LOWEST, _LOWEST)
    if upper is None:
        assert lower is not None
        grid = np.linspace(math.log(lower) - 1, math.log(lower), _NUM_GRID)
        return Profile(grid, np.full(_NUM_GRID, _LOWEST), _LOWEST, 0.0)
    first = math.log(lower) if lower else math.log(upper) - 1
    grid = np.linspace(first, math.log(upper), _NUM_GRID)
    return Profile(grid, np.zeros(_NUM_GRID), _LOWEST if lower else 0.0, _LOWEST)


def bound(value: Any) -> float | None:
    """A bound as tables have it; None for an open one: empty, NaN, zero or infinite."""
    text = str(value).strip().lower()
    if text in ("", "none", "nan", "null", "inf", "+inf", "infinity", "-inf"):
        return None
    number = float(text)
    if number < 0 or not math.isfinite(number):
        raise ValueError("expected a frequency above zero")
    return number or None
