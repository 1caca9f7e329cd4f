"""Profile likelihoods of what is read off a curve: collapse points, half-drops and acquisition frequencies.

A profile is the upper envelope over all shapes, each less what it is charged for its parameters: the best curve of any
shape on which the frequency is x. Its interval is all that lies within a threshold of the best; the ends are found by
root finding on the envelope itself, for an interpolated one cuts what lies between two places.

Shape suffixes: C curves, P parts, J doses, X places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from engine.analysis.fitting import (
    CLIFF,
    CLIFF_FREE,
    Cliffs,
    Fit,
    Fits,
    fit_part_cliffs,
    fit_rise_cliffs,
    fit_without_fall,
    joined,
)
from engine.analysis.law_points import Profile
from engine.analysis.likelihood import Array, Index, Tables
from engine.analysis.shapes import Shape
from engine.analysis.shapes.base import LOG_W1, LOG_W2, NUM_PARAMETERS, A, C, U, V
from engine.analysis.solver import Held, maximise

_LOWEST = -50.0  # log-likelihoods are cut off here: e^-50 is nothing
_PLACES_IN_GAP = (0.5,)
_NUM_GRID = 193
_NUM_END_STEPS, _END_MAX_STEPS, _PLACE_MAX_STEPS = 3, 12, 15
_TWO_SIDED = 1.96
_FAR = 25.0
"""Log-likelihood under the best at which a place needs no second look."""
_TOLERANCE_OCTAVES = 0.03
_NUM_LOOKS = 96  # places at which a curve is looked at for where it crosses a level


class Reading(NamedTuple):
    """What is read off one curve: a frequency, its interval and the likelihood of all others."""

    profile: Profile
    fit: Fit
    """The best curve of all."""
    shape: str
    """Its family."""
    best_log2: float | None
    """log2 of the frequency on it; None where that lies outside the doses."""
    weights: dict[str, float]
    """Akaike's weight of each family."""
    ends_log2: tuple[float | None, float | None]
    """Where the envelope crosses the threshold; None where it does not within the doses."""

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The frequencies within the threshold of the best; an end is None where it is open."""
        low, high = (None if end is None else float(2**end) for end in self.ends_log2)
        return low, high


class Crossing(NamedTuple):
    """What is read off curves: the last dose at which at least a share of the highest level at a tested dose is left,
    `share_B`, one for each curve; or, without shares, the first dose that reaches a level."""

    share_B: Array | None = None
    level: float = 0.0

    def of(self, rows: Index) -> Crossing:
        return self if self.share_B is None else Crossing(self.share_B[rows])

    def at(self, shape: Shape, theta: Array, doses: Array) -> Array:
        """log2 doses [B] where curves [B, P, 7] cross, within their tested ones [B, J]; NaN where they do not."""
        first, last = doses[:, :1], doses[:, -1:]
        looks = first + (last - first) * np.linspace(0, 1, 2 * _NUM_LOOKS)
        level = self._level(shape, theta, doses)
        is_enough: NDArray[np.bool_] = np.greater_equal(_mean(shape, theta, looks), level[:, None])
        rows, last_look = np.arange(len(theta)), looks.shape[1] - 1
        if self.share_B is not None:
            inside = last_look - np.argmax(is_enough[:, ::-1], axis=1)
            outside = np.minimum(inside + 1, last_look)
            is_crossed = np.logical_not(is_enough[:, -1])
        else:
            inside = np.argmax(is_enough, axis=1)
            outside = np.maximum(inside - 1, 0)
            is_crossed = np.logical_or.reduce(is_enough, axis=1)
        near, far = looks[rows, inside], looks[rows, outside]
        for _ in range(12):
            middle = (near + far) / 2
            is_near = _mean(shape, theta, middle[:, None])[:, 0] >= level
            near, far = np.where(is_near, middle, near), np.where(is_near, far, middle)
        return np.where(is_crossed, near, np.nan)

    def holds(self, shape: Shape, theta: Array, doses: Array, x_B: Array) -> NDArray[np.bool_]:
        """Whether curves that pass through the level at x cross it there for good, or for the first time."""
        end = doses[:, -1] if self.share_B is not None else doses[:, 0]
        beyond = np.sign(end - x_B) * _TOLERANCE_OCTAVES
        looks = (x_B + beyond)[:, None] + (end - x_B - beyond)[:, None] * np.linspace(0, 1, _NUM_LOOKS)
        level = self._level(shape, theta, doses)
        is_under = np.all(_mean(shape, theta, looks) <= level[:, None] + 1e-3, axis=1)
        return np.asarray(is_under | (np.abs(end - x_B) <= _TOLERANCE_OCTAVES), dtype=np.bool_)

    def _level(self, shape: Shape, theta: Array, doses: Array) -> Array:
        if self.share_B is None:
            return np.full(len(theta), self.level)
        return np.asarray(self.share_B * _mean(shape, theta, doses).max(axis=1))


def collapse_readings(
    tables: Tables, fits: Sequence[Fits], shares: Sequence[float], dispersion_C: Array, threshold_C: Array
) -> list[list[Reading]]:
    """Where each curve falls under each share of its highest level for good; by share, then by curve."""
    num_curves, times = len(threshold_C), len(shares)
    repeated = tables.repeated(times)
    all_fits = [Fits(f.shape, np.concatenate([f.theta] * times), np.concatenate([f.loglik] * times)) for f in fits]
    share_C = np.repeat(shares, num_curves)
    cliffs = [
        _stacked([joined(parts, share) for share in shares]) for parts in (fit_part_cliffs(tables, f) for f in fits)
    ]
    search = _Search(repeated, all_fits, Crossing(share_C), np.tile(dispersion_C, times), cliffs)
    best_CS = search.crossings()
    # Beyond the last dose: the best fit where it is there itself, or else the best that does not fall.
    without_fall = [np.concatenate([fit_without_fall(tables, f)] * times) for f in fits]
    beyond = [np.where(np.isnan(best_CS[:, s]), f.loglik, without_fall[s]) for s, f in enumerate(all_fits)]
    found = search.readings(best_CS, np.tile(threshold_C, times), beyond_CS=np.stack(beyond, axis=1))
    return [found[i : i + num_curves] for i in range(0, len(found), num_curves)]


def _stacked(cliffs: Sequence[Cliffs]) -> Cliffs:
    return Cliffs(
        cliffs[0].shape,
        np.concatenate([one.loglik for one in cliffs]),
        np.concatenate([one.theta for one in cliffs]),
    )


def widened(reading: Reading, error_log2: float) -> Reading:
    """The same with a normal error of log2 F more: what the seeds' shift makes of it. Ends move out, within the doses;
    of the profile, seen as a density, the convolution is kept."""
    if error_log2 <= 0:
        return reading
    best, profile = reading.best_log2, reading.profile
    first, last = float(profile.log_frequency[0]) / np.log(2), float(profile.log_frequency[-1]) / np.log(2)
    ends: list[float | None] = []
    for side, end, limit in ((-1, reading.ends_log2[0], first), (1, reading.ends_log2[1], last)):
        moved = None
        if end is not None and best is not None:
            moved = best + side * float(np.hypot(abs(end - best), _TWO_SIDED * error_log2))
            moved = moved if side * (limit - moved) > 0 else None
        ends.append(moved)
    step = (last - first) / (len(profile.loglik) - 1)
    offsets = np.arange(-len(profile.loglik) + 1, len(profile.loglik)) * step
    kernel = np.exp(-0.5 * (offsets / error_log2) ** 2)
    smooth = np.convolve(np.exp(profile.loglik), kernel / kernel.sum(), mode="valid")
    smooth = np.maximum(np.log(np.maximum(smooth, 1e-300)), _LOWEST)
    top = max(float(smooth.max()), profile.below, profile.beyond)
    return reading._replace(
        ends_log2=(ends[0], ends[1]),
        profile=Profile(profile.log_frequency, smooth - top, profile.below - top, profile.beyond - top),
    )


def acquisition_readings(tables: Tables, fits: Sequence[Fits], level: float, threshold_C: Array) -> list[Reading]:
    """The least dose at which each curve, of one part, reaches a level."""
    cliffs = [fit_rise_cliffs(tables, f, level) for f in fits]
    search = _Search(tables, fits, Crossing(None, level), np.ones(len(threshold_C)), cliffs)
    best_CS = search.crossings()
    first = tables.doses_CJ[:, 0]
    below = np.stack([np.where(best_CS[:, s] <= first, f.loglik, -np.inf) for s, f in enumerate(fits)], axis=1)
    beyond = np.stack([np.where(np.isnan(best_CS[:, s]), f.loglik, -np.inf) for s, f in enumerate(fits)], axis=1)
    return search.readings(best_CS, threshold_C, beyond_CS=beyond, below_CS=below)


class _Solved(NamedTuple):
    """Constrained fits at places: log-likelihoods less charges, by shape [S, C, X]; parameters, each [C, X, P, 7]."""

    places_CX: Array
    values_SCX: Array
    thetas: list[Array]


class _Search:
    """Constrained fits of all curves by all shapes, at any places."""

    def __init__(
        self,
        tables: Tables,
        fits: Sequence[Fits],
        crossing: Crossing,
        dispersion_C: Array,
        cliffs: Sequence[Cliffs],
    ) -> None:
        self.tables, self.fits, self.crossing, self.dispersion_C = tables, fits, crossing, dispersion_C
        num_curves, num_doses = tables.doses_CJ.shape
        num_parts = tables.values.shape[1]
        self.charge = float(NUM_PARAMETERS * num_parts)
        self.cliffs, self.cliff_CG = cliffs, np.full((num_curves, num_doses - 1), -np.inf)
        for one in cliffs:
            self.cliff_CG = np.maximum(self.cliff_CG, one.loglik / dispersion_C[:, None] - CLIFF_FREE * num_parts)

    def crossings(self) -> Array:
        """Where each curve's best fit by each shape crosses, [C, S]; NaN where it does not."""
        return np.stack([self.crossing.at(f.shape, f.theta, self.tables.doses_CJ) for f in self.fits], axis=1)

    def readings(
        self, best_CS: Array, threshold_C: Array, beyond_CS: Array, below_CS: Array | None = None
    ) -> list[Reading]:
        """What is read off each curve; the log-likelihoods of all that lies outside the doses are given."""
        fitted_CS = self._charged(np.stack([f.loglik for f in self.fits], axis=1))
        solved = self._at_places(_places(self.tables.doses_CJ, best_CS, fitted_CS), best_CS, fitted_CS)
        smooth_CX = solved.values_SCX.max(axis=0)
        cliff_CX = self._cliff_at(np.arange(len(best_CS))[:, None], solved.places_CX)
        beyond_C = np.maximum(self._charged(beyond_CS).max(axis=1), smooth_CX[:, -1])
        below_C = np.full(len(best_CS), -np.inf)
        if below_CS is not None:
            below_C = np.maximum(self._charged(below_CS).max(axis=1), smooth_CX[:, 0])
        envelope_CX = np.maximum(smooth_CX, cliff_CX)
        top_C = np.max(
            [fitted_CS.max(axis=1), self.cliff_CG.max(axis=1), beyond_C, below_C, envelope_CX.max(axis=1)], axis=0
        )
        ends = self._ends(solved, envelope_CX - top_C[:, None], top_C, threshold_C)
        found = []
        for c, top in enumerate(top_C):
            fit, name, best_log2, weights = self._best(c, best_CS, fitted_CS)
            below, beyond = (max(float(outside[c] - top), _LOWEST) for outside in (below_C, beyond_C))
            inside = [(end, top - threshold_C[c]) for end in ends[c] if end is not None]
            grid, loglik = self._on_grid(c, solved.places_CX[c], smooth_CX[c], inside)
            found.append(
                Reading(
                    profile=Profile(grid * np.log(2), np.maximum(loglik - top, _LOWEST), below, beyond),
                    fit=fit,
                    shape=name,
                    best_log2=best_log2,
                    weights=weights,
                    ends_log2=(
                        None if below >= -threshold_C[c] else ends[c][0],
                        None if beyond >= -threshold_C[c] else _or_last(ends[c][1], self.tables.doses_CJ[c]),
                    ),
                )
            )
        return found

    def _charged(self, loglik_CS: Array) -> Array:
        return np.asarray(loglik_CS / self.dispersion_C[:, None] - self.charge)

    def _best(self, c: int, best_CS: Array, fitted_CS: Array) -> tuple[Fit, str, float | None, dict[str, float]]:
        """The best curve, its family, where it crosses, and the weights of all families."""
        gap = int(np.argmax(self.cliff_CG[c]))
        values = np.append(fitted_CS[c], self.cliff_CG[c, gap])
        weights = np.exp(values - values.max())
        names = [*(f.shape.name for f in self.fits), CLIFF]
        named = {name: float(w) for name, w in zip(names, weights / weights.sum(), strict=True) if w > 0}
        best = int(np.argmax(values))
        if best < len(self.fits):
            place, fits = float(best_CS[c, best]), self.fits[best]
            return Fit(fits.shape, fits.theta[c]), names[best], None if np.isnan(place) else place, named
        cliff = max(self.cliffs, key=lambda one: float(one.loglik[c, gap]))
        doses = self.tables.doses_CJ[c]
        return Fit(cliff.shape, cliff.theta[c, gap]), CLIFF, float(doses[gap] + doses[gap + 1]) / 2, named

    def _at_places(self, places_CX: Array, best_CS: Array, fitted_CS: Array) -> _Solved:
        """The constrained maximum of each shape at each place; where that matters, a second time from the neighbours'
        solutions."""
        num_curves, num_places = places_CX.shape
        top_C = np.maximum(fitted_CS.max(axis=1), self.cliff_CG.max(axis=1))
        values, thetas = [], []
        for s, fits in enumerate(self.fits):
            shifts = places_CX - np.where(np.isnan(best_CS[:, s]), places_CX[:, -1], best_CS[:, s])[:, None]
            starts = _moved(fits, shifts, places_CX, is_fall=self.crossing.share_B is not None)
            curves, x_B = np.repeat(np.arange(num_curves), num_places), places_CX.ravel()
            value, theta = self._held(
                fits.shape, curves, [start.reshape(-1, *start.shape[2:]) for start in starts], x_B
            )
            by_place = theta.reshape(num_curves, num_places, *theta.shape[1:])
            left, right = (
                np.maximum(np.arange(num_places) - 1, 0),
                np.minimum(np.arange(num_places) + 1, num_places - 1),
            )
            near = value.reshape(num_curves, num_places)
            near = np.max([near, near[:, left], near[:, right]], axis=0) >= (top_C - _FAR)[:, None]
            rows = np.flatnonzero(near)
            beside = [by_place[:, other].reshape(theta.shape)[rows] for other in (left, right)]
            again, theta_again = self._held(fits.shape, curves[rows], beside, x_B[rows])
            is_better = again > value[rows]
            value[rows[is_better]], theta[rows[is_better]] = again[is_better], theta_again[is_better]
            values.append(value.reshape(num_curves, num_places))
            thetas.append(theta.reshape(by_place.shape))
        return _Solved(places_CX, np.stack(values), thetas)

    def _held(
        self, shape: Shape, curves: Index, starts: Sequence[Array], x_B: Array, max_steps: int = _PLACE_MAX_STEPS
    ) -> tuple[Array, Array]:
        """The best curves, from several starts, that cross at x: log-likelihoods less charges, −inf where there is
        none, and parameters."""
        times, num = len(starts), len(x_B)
        of_all, x_all = np.tile(curves, times), np.tile(x_B, times)
        crossing = self.crossing.of(of_all)
        held = Held(x_all, crossing.share_B, crossing.level)
        values, thetas = maximise(self.tables, shape, of_all, np.concatenate(starts), held, max_steps=max_steps)
        holds = crossing.holds(shape, thetas, self.tables.doses_CJ[of_all], x_all)
        values = np.where(holds, values / self.dispersion_C[of_all] - self.charge, -np.inf).reshape(times, num)
        best, rows = values.argmax(axis=0), np.arange(num)
        return values[best, rows], thetas.reshape(times, num, *thetas.shape[1:])[best, rows]

    def _cliff_at(self, curves: Index, x: Array) -> Array:
        """The best cliff whose gap holds a place, both its doses included; of the shape of x."""
        doses = self.tables.doses_CJ[curves]
        is_inside = (x[..., None] >= doses[..., :-1]) & (x[..., None] <= doses[..., 1:])
        return np.asarray(np.where(is_inside, self.cliff_CG[curves], -np.inf).max(axis=-1))

    def _ends(self, solved: _Solved, envelope_CX: Array, top_C: Array, threshold_C: Array) -> list[list[float | None]]:
        """Where the envelope crosses the threshold at each curve's lower and upper side, by root finding between the
        outermost place within it and the next; None where it does not cross within the doses."""
        num_curves, num_places = envelope_CX.shape
        is_within = envelope_CX >= -threshold_C[:, None]
        outermost = np.stack([np.argmax(is_within, axis=1), num_places - 1 - np.argmax(is_within[:, ::-1], axis=1)])
        beside = outermost + np.array([[-1], [1]])
        crosses = is_within.any(axis=1) & (beside >= 0) & (beside < num_places)
        sides, curves = np.nonzero(crosses)
        near, far = outermost[sides, curves], beside[sides, curves]
        inside, outside = solved.places_CX[curves, near], solved.places_CX[curves, far]
        value_in, value_out = envelope_CX[curves, near], envelope_CX[curves, far]
        threshold = threshold_C[curves]
        for _ in range(_NUM_END_STEPS if len(curves) else 0):
            share = np.clip(_share_inside(value_in, value_out, threshold), 0.1, 0.9)
            middle = inside + share * (outside - inside)
            value = self._cliff_at(curves, middle)
            for s, fits in enumerate(self.fits):
                starts = [solved.thetas[s][curves, near], solved.thetas[s][curves, far]]
                value = np.maximum(value, self._held(fits.shape, curves, starts, middle, _END_MAX_STEPS)[0])
            value = value - top_C[curves]
            is_inside = value >= -threshold
            inside, outside = np.where(is_inside, middle, inside), np.where(is_inside, outside, middle)
            value_in, value_out = np.where(is_inside, value, value_in), np.where(is_inside, value_out, value)
        final = inside + _share_inside(value_in, value_out, threshold) * (outside - inside)
        ends: list[list[float | None]] = [[None, None] for _ in range(num_curves)]
        for side, c, end in zip(sides, curves, final, strict=True):
            ends[c][side] = float(end)
        return ends

    def _on_grid(
        self, c: int, places_X: Array, smooth_X: Array, ends: Sequence[tuple[float, float]]
    ) -> tuple[Array, Array]:
        """The envelope on a grid of log2 doses: smooth curves interpolated between places and `ends`, and cliffs."""
        doses = self.tables.doses_CJ[c]
        grid = np.linspace(doses[0], doses[-1], _NUM_GRID)
        cliffs = self._cliff_at(np.full(_NUM_GRID, c), grid)
        known = np.isfinite(smooth_X)
        x, values = list(places_X[known]), list(smooth_X[known])
        for end, value in ends:
            if self._cliff_at(np.array([c]), np.array([end]))[0] < value:  # where a cliff ends there, no curve does
                x.append(end)
                values.append(value)
        x_unique, index = np.unique(x, return_index=True)
        if len(x_unique) > 1:
            smooth = PchipInterpolator(x_unique, np.array(values)[index], extrapolate=False)(grid)
            return grid, np.fmax(cliffs, smooth)
        return grid, cliffs


def _or_last(end: float | None, doses: Array) -> float:
    """An upper end within the doses; where the last dose itself is likely enough and all beyond it is not, that."""
    return float(doses[-1]) if end is None else end


def _share_inside(value_in: Array, value_out: Array, threshold: Array) -> Array:
    """How far from inside to outside a profile that is quadratic between them crosses the threshold."""
    near, far, at = np.sqrt(-np.minimum(value_in, 0)), np.sqrt(-np.maximum(value_out, -1e6)), np.sqrt(threshold)
    return np.asarray(np.clip((at - near) / np.maximum(far - near, 1e-9), 0.0, 1.0))


def _places(doses_CJ: Array, best_CS: Array, fitted_CS: Array) -> Array:
    """log2 doses to hold a point at: every dose, places between two, and the best estimate itself, in order."""
    inner = [doses_CJ[:, :-1] + share * np.diff(doses_CJ) for share in _PLACES_IN_GAP]
    best = np.take_along_axis(best_CS, fitted_CS.argmax(axis=1)[:, None], axis=1)
    best = np.where(np.isnan(best), doses_CJ[:, -1:], best)
    return np.sort(np.concatenate([doses_CJ, *inner, best], axis=1), axis=1)


def _moved(fits: Fits, shifts_CX: Array, places_CX: Array, *, is_fall: bool) -> tuple[Array, Array]:
    """Starts for each place, each [C, X, P, 7]: the fitted curves moved there, and steep ones that pass there."""
    moved = np.repeat(fits.theta[:, None], shifts_CX.shape[1], axis=1)
    steep = moved.copy()
    place, width, share = (C, LOG_W2, V) if is_fall else (A, LOG_W1, U)
    moved[..., place] += shifts_CX[:, :, None]
    steep[..., share] = np.minimum(steep[..., share], 0.5)
    steep[..., width] = np.log(fits.shape.start_octaves(1.0)[0])
    steep[..., place] = places_CX[:, :, None] + (0.2 if is_fall else -0.1)
    return moved, steep


def _mean(shape: Shape, theta: Array, x: Array) -> Array:
    """The mean of the parts' g: theta [B, P, 7] at x [B, X]."""
    return np.asarray(shape.levels(theta, x[:, None, :]).mean(axis=1))
