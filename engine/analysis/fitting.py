"""Fitting curves by every shape.

No single family holds the truth: each is fitted, and stands by its log-likelihood less its number of parameters (as AIC
has it; the scatter is pooled over the sweep, so that AICc's correction for estimating it from one curve is not due). A
fall within one gap between doses, a cliff, is a family of its own: no dose tells where in the gap it lies.

Shape suffixes: C curves, P parts, J doses, S starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from engine.analysis.likelihood import Array, Part, Tables
from engine.analysis.shapes import Shape
from engine.analysis.shapes.base import LOG_W1, LOG_W2, NUM_PARAMETERS, A, C, U, V
from engine.analysis.solver import FINE_STEPS, FINE_TOLERANCE, maximise

CLIFF = "cliff"
CLIFF_FREE = 6
"""Parameters of a cliff: the plateau, what lies before and after, place and width of the rise, and the gap."""
_NUM_STARTS = 5
_START_STEP_OCTAVES = 0.25
_RISES = (None, 0.0, 0.5, 1.0)
"""Where a curve without a fall is tried to rise: as fitted, and at shares of the way from first dose to last."""


class Fit(NamedTuple):
    """One curve by one shape, its parameters [P, 7]."""

    shape: Shape
    theta: Array

    def at(self, x: Array) -> Array:
        """The mean of the parts' g at x [X]."""
        return np.asarray(self.shape.levels(self.theta, x).mean(axis=0))


class Fits(NamedTuple):
    """All curves by one shape: parameters [C, P, 7] and log-likelihoods [C]."""

    shape: Shape
    theta: Array
    loglik: Array


def fit(tables: Tables, parts_CP: Sequence[Sequence[Part]], shape: Shape) -> Fits:
    """The maximum-likelihood curves. Parts share no parameter, so each is fitted alone, from the best starts of a grid
    of rises and falls, and from the best without a plateau. (A published hinge fit of the ryegrass data is a local
    optimum: starts matter.)"""
    num_curves, num_parts = len(parts_CP), len(parts_CP[0])
    thetas, total = [], np.zeros(num_curves)
    for p in range(num_parts):
        alone = tables.part(p)
        starts = np.stack([_starts(alone, shape, c, parts[p]) for c, parts in enumerate(parts_CP)])
        num_starts = starts.shape[1]
        curves = np.repeat(np.arange(num_curves), num_starts)
        values, found = maximise(
            alone,
            shape,
            curves,
            starts.reshape(-1, 1, NUM_PARAMETERS),
            max_steps=FINE_STEPS,
            tolerance=FINE_TOLERANCE,
        )
        best = values.reshape(-1, num_starts).argmax(axis=1) + np.arange(num_curves) * num_starts
        thetas.append(found[best, 0])
        total += values[best]
    return Fits(shape, np.stack(thetas, axis=1), total)


def fit_without_fall(tables: Tables, fits: Fits) -> Array:
    """The log-likelihoods [C] of the best non-decreasing curves of this shape: all of the plateau is left (v = 1)."""
    num_curves, num_parts = fits.theta.shape[:2]
    first, last = tables.doses_CJ[:, :1], tables.doses_CJ[:, -1:]
    low, high = (np.repeat(end, len(_RISES), axis=0)[:, None, :] for end in fits.shape.box(tables.doses_CJ))
    low[..., V], high[..., V] = 1 - 2e-6, 1 - 1e-6
    total = np.zeros(num_curves)
    for p in range(num_parts):
        starts = np.repeat(fits.theta[:, None, p : p + 1], len(_RISES), axis=1)
        for index, place in enumerate(_RISES):
            if place is not None:
                starts[:, index, :, A] = first + place * (last - first)
        curves = np.repeat(np.arange(num_curves), len(_RISES))
        values, _ = maximise(tables.part(p), fits.shape, curves, starts.reshape(-1, 1, NUM_PARAMETERS), box=(low, high))
        total += values.reshape(num_curves, -1).max(axis=1)
    return total


class Cliffs(NamedTuple):
    """The best curves whose parts fall within gaps, of one shape: by the gap in which their mean falls under a share of
    its highest level for good, log-likelihoods [C, J − 1], −inf where none does, and parameters [C, J − 1, P, 7]."""

    shape: Shape
    loglik: Array
    theta: Array


class PartCliffs(NamedTuple):
    """The parts of curves, each fitted with its fall in each gap in turn and, last, with none: by part,
    log-likelihoods [C, J] and parameters [C, J, 7]."""

    shape: Shape
    doses_CJ: Array
    of_parts: list[tuple[Array, Array]]


def fit_part_cliffs(tables: Tables, fits: Fits) -> PartCliffs:
    """Fit each part with its fall within each gap between doses, from the fitted rise and from none."""
    num_curves, num_parts = fits.theta.shape[:2]
    doses, shape = tables.doses_CJ, fits.shape
    num_places = doses.shape[1]
    begins = np.append(doses[:, :-1], doses[:, -1:] + 1, axis=1).ravel()
    lengths = np.append(np.maximum(np.diff(doses), 0.01), np.ones((num_curves, 1)), axis=1).ravel()
    place, width = shape.fall_within(begins, lengths)
    curves = np.repeat(np.arange(num_curves), num_places)
    low, high = (end[curves, None, :] for end in shape.box(doses))
    for index, fixed in ((C, place), (LOG_W2, np.log(width))):
        low[:, 0, index], high[:, 0, index] = fixed - 1e-6, fixed + 1e-6
    both = (np.concatenate([low, low]), np.concatenate([high, high]))
    of_parts = []
    for p in range(num_parts):
        as_fitted = fits.theta[curves, p : p + 1]
        as_fitted[..., V] = np.minimum(as_fitted[..., V], 0.5)
        risen = as_fitted.copy()
        risen[:, 0, A] = doses[curves, 0] - 0.5
        starts = np.concatenate([as_fitted, risen])
        values, found = maximise(tables.part(p), shape, np.concatenate([curves, curves]), starts, box=both)
        values, found = values.reshape(2, num_curves, -1), found.reshape(2, num_curves, -1, NUM_PARAMETERS)
        best = values.argmax(axis=0)[None]
        of_parts.append((np.take_along_axis(values, best, 0)[0], np.take_along_axis(found, best[..., None], 0)[0]))
    return PartCliffs(shape, doses, of_parts)


def joined(parts: PartCliffs, share: float) -> Cliffs:
    """The best curves that fall under a share of their highest level within each gap, from all ways for their parts to
    fall."""
    doses, shape = parts.doses_CJ, parts.shape
    num_curves, num_gaps, num_parts = len(doses), doses.shape[1] - 1, len(parts.of_parts)
    cliffs = Cliffs(
        shape,
        np.full((num_curves, num_gaps), -np.inf),
        np.zeros((num_curves, num_gaps, num_parts, NUM_PARAMETERS)),
    )
    everyone = np.arange(num_curves)
    levels_of_parts = [shape.levels(thetas, doses[:, None, :]) for _, thetas in parts.of_parts]
    for gaps in product(range(num_gaps + 1), repeat=num_parts):
        loglik = np.sum([values[:, gap] for gap, (values, _) in zip(gaps, parts.of_parts, strict=True)], axis=0)
        levels = np.mean([of_part[:, gap] for gap, of_part in zip(gaps, levels_of_parts, strict=True)], axis=0)
        is_enough = np.greater_equal(levels, share * levels.max(axis=1, keepdims=True))
        last = num_gaps - np.argmax(is_enough[:, ::-1], axis=1)
        gap = np.minimum(last, num_gaps - 1)
        better = (last < num_gaps) & (loglik > cliffs.loglik[everyone, gap])  # at the last dose, none has fallen yet
        theta = np.stack([thetas[:, g] for g, (_, thetas) in zip(gaps, parts.of_parts, strict=True)], axis=1)
        cliffs.loglik[everyone[better], gap[better]] = loglik[better]
        cliffs.theta[everyone[better], gap[better]] = theta[better]
    return cliffs


def fit_rise_cliffs(tables: Tables, fits: Fits, level: float) -> Cliffs:
    """The best curves, of one part, that rise within a gap between doses and reach a level there first."""
    doses, shape = tables.doses_CJ, fits.shape
    num_curves, num_gaps = len(doses), doses.shape[1] - 1
    curves = np.repeat(np.arange(num_curves), num_gaps)
    place, width = shape.rise_within(doses[:, :-1].ravel(), np.maximum(np.diff(doses), 0.01).ravel())
    low, high = (end[curves, None, :] for end in shape.box(doses))
    for index, fixed in ((A, place), (LOG_W1, np.log(width))):
        low[:, 0, index], high[:, 0, index] = fixed - 1e-6, fixed + 1e-6
    as_fitted = fits.theta[curves]
    as_fitted[..., U] = np.minimum(as_fitted[..., U], 0.5)
    standing = as_fitted.copy()
    standing[:, 0, C] = doses[curves, -1] + 0.5
    both = (np.concatenate([low, low]), np.concatenate([high, high]))
    starts = np.concatenate([as_fitted, standing])
    values, found = maximise(tables, shape, np.concatenate([curves, curves]), starts, box=both)
    best = values.reshape(2, -1).argmax(axis=0)
    values, found = (
        values.reshape(2, -1)[best, np.arange(len(curves))],
        found.reshape(2, len(curves), *found.shape[1:])[best, np.arange(len(curves))],
    )
    reaches = np.greater_equal(shape.levels(found[:, 0], doses[curves]), level)
    gaps = np.tile(np.arange(num_gaps), num_curves)
    is_first = reaches.any(axis=1) & (reaches.argmax(axis=1) == gaps + 1)
    loglik = np.where(is_first, values, -np.inf).reshape(num_curves, num_gaps)
    return Cliffs(shape, loglik, found.reshape(num_curves, num_gaps, 1, NUM_PARAMETERS))


def _starts(alone: Tables, shape: Shape, curve: int, part: Part) -> Array:
    """The best of a grid of rises and falls that differ in where they rise or fall, [S, 7]."""
    doses = np.unique(alone.doses_CJ[curve])
    retentions = part.retentions_N
    means = [np.average(retentions[part.x_N == d], weights=part.weights_N[part.x_N == d] + 1e-9) for d in doses]
    top = float(np.clip(max(means), 0.02, 0.98))
    first, last = (float(np.clip(means[i] / top, 0.02, 0.98)) for i in (0, -1))
    span = float(doses[-1] - doses[0])
    step = max(_START_STEP_OCTAVES, span / 12)
    places = np.arange(doses[0] - 1, doses[-1] + step + 0.5, step)
    widths = np.log(shape.start_octaves(span))
    shares = [np.unique([share, 0.05]) for share in (first, last)]
    grid = np.stack(np.meshgrid(top, *shares, places, widths, places, widths, indexing="ij"), axis=-1)
    grid = grid.reshape(-1, NUM_PARAMETERS)
    grid = grid[grid[:, C] >= grid[:, A] - step]
    levels = shape.levels(grid, alone.doses_CJ[curve])
    values = alone.log_likelihood(np.full(len(grid), curve), levels[:, None])
    order = np.argsort(-values)
    without_plateau = np.abs(grid[:, C] - grid[:, A]) < 1e-9
    chosen = [grid[order[0]], grid[np.argmax(np.where(without_plateau, values, -np.inf))]]
    for index in order[1 : 50 * _NUM_STARTS]:
        if len(chosen) == _NUM_STARTS:
            break
        if all(np.abs(grid[index] - other)[[A, C]].max() > 0.2 for other in chosen):
            chosen.append(grid[index])
    return np.stack(chosen + chosen[:1] * (_NUM_STARTS - len(chosen)))
