"""Fitting a curve, and the profile likelihoods of what is read off it: F* and the acquisition frequency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from engine.analysis.shape import (
    NUM_PARAMETERS,
    Array,
    Part,
    first_crossing,
    last_crossing,
    mean_curve,
    shape,
)
from engine.analysis.solver import Constraint, level_constraint, maximise, share_constraint
from engine.records.analysis import COLLAPSE_SHARE

_LOWEST = -50.0  # log-likelihoods are cut off here: e^-50 is nothing


class Fit(NamedTuple):
    """A fitted curve: `theta` [P, 7], the joint log-likelihood, and the log2 doses that were tested."""

    parts: tuple[Part, ...]
    theta: Array
    loglik: float
    doses: Array

    def at(self, x: Array) -> Array:
        return mean_curve(self.theta, x)


class Profile(NamedTuple):
    """The profile likelihood of a frequency: log-likelihoods relative to the best, on a grid of ln F within the tested
    doses, and of its lying below the first (an acquisition) or beyond the last (a collapse point)."""

    log_frequency: Array
    loglik: Array
    below: float
    beyond: float

    def at_most(self) -> Profile:
        """The evidence that the frequency lies at the best place or anywhere below it: what a curve says that falls
        from its first dose on."""
        best = int(np.argmax(self.loglik))
        below = np.arange(len(self.loglik)) <= best
        return self._replace(loglik=np.where(below, 0.0, self.loglik), below=0.0)

    def interval(self, threshold: float) -> tuple[float | None, float | None]:
        """The frequencies within `threshold` of the best log-likelihood; an end is None where it is open."""
        inside = np.flatnonzero(self.loglik >= -threshold)
        if not len(inside):
            last = float(np.exp(self.log_frequency[-1]))
            return (last, None) if self.beyond >= -threshold else (None, None)
        low = None if self.below >= -threshold else float(np.exp(self.log_frequency[inside[0]]))
        high = None if self.beyond >= -threshold else float(np.exp(self.log_frequency[inside[-1]]))
        return low, high


def fit(parts: Sequence[Part], doses: Array, *, num_starts: int = 6) -> Fit:
    """The maximum-likelihood curve. Parts share no parameter, so each is fitted alone, from the best starts of a grid
    of rises and falls. (A published hinge fit of the ryegrass data is a local optimum: starts matter.)"""
    thetas, total = [], 0.0
    for part in parts:
        values, found = maximise([part], doses, _starts(part, doses, num_starts)[:, None, :])
        best = int(np.argmax(values))
        thetas.append(found[best, 0])
        total += float(values[best])
    return Fit(tuple(parts), np.stack(thetas), total, doses)


def collapse_profile(fitted: Fit, share: float = COLLAPSE_SHARE) -> Profile:
    """The profile likelihood of the collapse point: the curve refitted with it held at each place of a grid."""
    doses = fitted.doses
    crossing = last_crossing(fitted.theta, doses, share)
    grid = _grid(doses, crossing)
    centre = float(doses[-1]) if crossing is None else crossing

    def holding(x_B: Array) -> Constraint:
        return share_constraint(x_B, doses, share)

    def holds(theta: Array, x: float) -> bool:
        reached = last_crossing(theta, doses, share)
        return abs((float(doses[-1]) if reached is None else reached) - x) < 0.05

    moved = np.repeat(fitted.theta[None], len(grid), axis=0)
    moved[:, :, 5] += (grid - centre)[:, None]
    outright = np.repeat(fitted.theta[None], len(grid), axis=0)
    outright[:, :, 5] = grid[:, None] + 0.25
    outright[:, :, 2] = np.minimum(outright[:, :, 2], 0.5)
    outright[:, :, 6] = np.log(0.1)
    values = _profile(fitted, grid, [moved, outright], holding, holds)
    beyond = max(float(values[-1]), fitted.loglik if crossing is None else _without_fall(fitted))
    return _relative(grid, values, -np.inf, beyond, fitted.loglik)


def acquisition_profile(fitted: Fit, level: float) -> Profile:
    """The profile likelihood of the least dose at which the (one) part reaches `level`."""
    doses = fitted.doses
    best = first_crossing(fitted.theta, doses, level)
    grid = _grid(doses, best)
    centre = float(doses[-1]) if best is None else best

    def holding(x_B: Array) -> Constraint:
        return level_constraint(x_B, level)

    def holds(theta: Array, x: float) -> bool:
        reached = first_crossing(theta, doses, level)
        return reached is not None and abs(reached - x) < 0.05

    moved = np.repeat(fitted.theta[None], len(grid), axis=0)
    moved[:, :, 3] += (grid - centre)[:, None]
    steep = moved.copy()
    steep[:, :, 1] = np.minimum(steep[:, :, 1], 0.3)
    steep[:, :, 3], steep[:, :, 4] = grid[:, None] - 0.1, np.log(0.1)
    values = _profile(fitted, grid, [moved, steep], holding, holds)
    # Outside the tested doses: the best fit where it lies there itself, or else the best of the curves on the border.
    below = fitted.loglik if best == doses[0] else float(values[0])
    beyond = fitted.loglik if best is None else float(values[-1])
    return _relative(grid, values, below, beyond, fitted.loglik)


def _profile(
    fitted: Fit,
    grid: Array,
    starts: list[Array],
    holding: Callable[[Array], Constraint],
    holds: Callable[[Array, float], bool],
) -> Array:
    """The constrained maximum at each place of the grid; a second round starts from the neighbours' solutions."""
    num = len(grid)
    values, thetas = np.full(num, -np.inf), np.repeat(fitted.theta[None], num, axis=0)

    def improve(batches: list[Array]) -> None:
        found, solutions = maximise(
            fitted.parts, fitted.doses, np.concatenate(batches), holding(np.tile(grid, len(batches)))
        )
        for index in np.argsort(found):
            place = int(index) % num
            if found[index] > values[place] and holds(solutions[index], float(grid[place])):
                values[place], thetas[place] = found[index], solutions[index]

    improve(starts)
    from_left, from_right = np.roll(thetas, 1, axis=0), np.roll(thetas, -1, axis=0)
    from_left[0], from_right[-1] = thetas[0], thetas[-1]
    improve([from_left, from_right])
    return values


def _without_fall(fitted: Fit) -> float:
    """The log-likelihood of the best non-decreasing parts: their falls are put beyond every dose and stay there."""
    total = 0.0
    for part in fitted.parts:
        starts = _starts(part, fitted.doses, 4)
        starts[:, 2], starts[:, 5] = 0.999, fitted.doses[-1] + 2.9
        values, _ = maximise([part], fitted.doses, starts[:, None, :], _no_fall)
        total += float(values.max())
    return total


def _no_fall(theta: Array, _: NDArray[np.intp], with_gradient: bool) -> tuple[Array, Array | None]:
    """v = 1, by its own constraint."""
    gradient = np.zeros_like(theta)
    gradient[:, :, 2] = 1.0
    return theta[:, 0, 2] - 0.9995, gradient if with_gradient else None


def _starts(part: Part, doses: Array, num_starts: int) -> Array:
    """The best of a grid of rises and falls that differ in where they rise or fall, [num_starts, 7]."""
    levels = part.means_J[np.isfinite(part.means_J)]
    top = float(np.clip(levels.max(), 0.02, 0.98))
    first, last = (float(np.clip(levels[i] / top, 0.02, 0.98)) for i in (0, -1))
    step = max(0.25, float(doses[-1] - doses[0]) / 10)
    places = np.arange(doses[0] - 1, doses[-1] + step + 0.5, step)
    grid = np.array(
        [
            (top, u, v, a, np.log(w1), c, np.log(w2))
            for u in {first, 0.05}
            for v in {last, 0.05}
            for a in places
            for c in places
            if c >= a - step
            for w1 in (0.1, 0.5)
            for w2 in (0.08, 0.3)
        ]
    ).reshape(-1, NUM_PARAMETERS)
    order = np.argsort(-part.log_likelihood(shape(grid, doses)))
    chosen: list[Array] = []
    for index in order:
        if all(np.abs(grid[index] - other)[[3, 5]].max() > 0.2 for other in chosen):
            chosen.append(grid[index])
        if len(chosen) == num_starts:
            break
    return np.stack(chosen)


def _grid(doses: Array, centre: float | None) -> Array:
    """log2 doses to hold a point at: every dose, three places between two, and the estimate itself."""
    places = [doses, *(doses[:-1] + share * np.diff(doses) for share in (0.25, 0.5, 0.75))]
    if centre is not None:
        places.append(np.array([centre]))
    return np.unique(np.concatenate(places))


def _relative(grid: Array, values: Array, below: float, beyond: float, fitted: float) -> Profile:
    """A profile in ln F on a fine grid, relative to its best value."""
    best = max(fitted, below, beyond, float(values.max()))
    known = np.isfinite(values)
    fine = np.linspace(grid[0], grid[-1], 401)
    dense = np.full(len(fine), -np.inf)
    if known.sum() >= 2:
        inner = PchipInterpolator(grid[known], values[known], extrapolate=False)(fine)
        dense = np.where(np.isfinite(inner), inner, -np.inf)
    return Profile(
        fine * np.log(2),
        np.maximum(dense - best, _LOWEST),
        max(below - best, _LOWEST),
        max(beyond - best, _LOWEST),
    )
