"""Maximum likelihood for many curves, many starts and many constraints at once.

A profile likelihood is the same fit repeated with one quantity held at each place of a grid, and a sweep has many
curves. All these problems have the same shape, so they are solved side by side: Fisher scoring with
Levenberg–Marquardt damping, on parameters mapped into their box by a logistic, with an equality constraint carried by
its Lagrange multiplier (a Newton–KKT step, taken if it lowers −log L + penalty · |constraint|). By hand because
SciPy's optimisers solve one problem at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from engine.analysis.likelihood import Index, Tables
from engine.analysis.shapes import Shape
from engine.analysis.shapes.base import NUM_PARAMETERS, Array

_MAX_STEPS = 30
_TOLERANCE = 1e-3  # log-likelihood gained in a step, and distance from the constraint, at which a problem is solved
FINE_STEPS, FINE_TOLERANCE = 60, 1e-4
"""Where the place of the maximum itself is reported, and not only its height."""
_AT_ONCE = 4_096
"""Problems in one round: more would not stay in the processor's cache."""


class Held(NamedTuple):
    """A constraint on the mean of the parts' curves, one for each problem: g(x) = share · (largest g at a tested dose),
    or, where `share_B` is None, g(x) = level."""

    x_B: Array
    share_B: Array | None = None
    level: float = 0.0

    def of(self, problems: Index) -> Held:
        share = None if self.share_B is None else self.share_B[problems]
        return Held(self.x_B[problems], share, self.level)


def maximise(
    tables: Tables,
    shape: Shape,
    curve_B: Index,
    starts: Array,
    held: Held | None = None,
    box: tuple[Array, Array] | None = None,
    max_steps: int = _MAX_STEPS,
    tolerance: float = _TOLERANCE,
) -> tuple[Array, Array]:
    """Climb from each start [B, P, 7]. Returns log-likelihoods [B], −inf where the constraint could not be met, and
    parameters [B, P, 7]. `box`: limits of the parameters, [B, P, 7] or what broadcasts to it; the shape's own by
    default."""
    if box is None:
        box = tuple(end[:, None, :] for end in shape.box(tables.doses_CJ[curve_B]))  # type: ignore[assignment]
        assert box is not None
    low, high = (np.broadcast_to(end, starts.shape) for end in box)
    found = [
        _maximise(
            tables,
            shape,
            curve_B[part],
            starts[part],
            held.of(np.arange(len(starts))[part]) if held else None,
            low[part],
            high[part],
            max_steps,
            tolerance,
        )
        for part in (slice(i, i + _AT_ONCE) for i in range(0, len(starts), _AT_ONCE))
    ]
    if not found:
        return np.empty(0), np.empty_like(starts)
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def _maximise(
    tables: Tables,
    shape: Shape,
    curve_B: Index,
    starts: Array,
    held: Held | None,
    low: Array,
    high: Array,
    max_steps: int,
    tolerance: float,
) -> tuple[Array, Array]:
    width = high - low
    z = logit(np.clip((starts - low) / width, 1e-3, 1 - 1e-3))
    loglik, gap = _evaluate(tables, shape, curve_B, low + width * expit(z), held)
    damping, penalty = np.full(len(z), 1e-2), np.full(len(z), 10.0)
    active = np.arange(len(z))  # problems not solved yet
    for _ in range(max_steps):
        curves, holding, bottom, span = curve_B[active], held.of(active) if held else None, low[active], width[active]
        theta = bottom + span * expit(z[active])
        slope_of_box = (theta - bottom) * (bottom + span - theta) / span
        step, multiplier = _step(tables, shape, curves, theta, slope_of_box, damping[active], holding)
        penalty[active] = np.maximum(penalty[active], 2 * np.abs(multiplier))
        trial = np.clip(z[active] + np.clip(step, -2.0, 2.0), -9.0, 9.0)
        new_loglik, new_gap = _evaluate(tables, shape, curves, bottom + span * expit(trial), holding)
        gain = new_loglik - loglik[active] - penalty[active] * (np.abs(new_gap) - np.abs(gap[active]))
        better = gain > 0
        moved = active[better]
        z[moved], loglik[moved], gap[moved] = trial[better], new_loglik[better], new_gap[better]
        damping[active] = np.where(better, np.maximum(damping[active] / 5, 1e-7), damping[active] * 4)
        solved = better & (gain < tolerance) & (np.abs(new_gap) < tolerance)
        active = active[~solved & (damping[active] < 1e6)]
        if not len(active):
            break
    return np.where(np.abs(gap) < 1e-3, loglik, -np.inf), low + width * expit(z)


def _evaluate(tables: Tables, shape: Shape, curve_B: Index, theta: Array, held: Held | None) -> tuple[Array, Array]:
    """Log-likelihoods, and how far the constraint is missed."""
    doses = tables.doses_CJ[curve_B]
    g = shape.levels(theta, doses[:, None, :])
    loglik = tables.log_likelihood(curve_B, g)
    if held is None:
        return loglik, np.zeros(len(theta))
    at_x = shape.levels(theta, held.x_B[:, None, None]).mean(axis=1)[:, 0]
    if held.share_B is None:
        return loglik, at_x - held.level
    return loglik, at_x - held.share_B * g.mean(axis=1).max(axis=-1)


def _step(
    tables: Tables,
    shape: Shape,
    curve_B: Index,
    theta: Array,
    slope_of_box: Array,
    damping: Array,
    held: Held | None,
) -> tuple[Array, Array]:
    """The damped Newton–KKT step in the unboxed parameters, [B, P, 7], and the constraint's multiplier, [B].

    The information is block-diagonal, one block a part: each is solved by itself, and the constraint, which alone
    couples them, through its Schur complement."""
    doses = tables.doses_CJ[curve_B]
    g, gradient = shape.levels_and_gradient(theta, doses[:, None, :])
    score, information = tables.score_and_information(curve_B, g)
    unboxed = gradient * slope_of_box[..., None]
    right = (unboxed * score[..., None, :]).sum(axis=-1)
    system = (unboxed * information[..., None, :]) @ unboxed.swapaxes(-1, -2)
    diagonal = np.arange(NUM_PARAMETERS)
    system[..., diagonal, diagonal] *= 1 + damping[:, None, None]
    # A parameter that the data do not reach (a fall beyond the last dose) has no information: keep it where it is.
    system[..., diagonal, diagonal] += 1e-3 + 1e-2 * damping[:, None, None]
    if held is None:
        return np.linalg.solve(system, right[..., None])[..., 0], np.zeros(len(theta))
    num_parts = theta.shape[1]
    at_x, slopes = shape.levels_and_gradient(theta, held.x_B[:, None, None])
    value, slopes = at_x[..., 0].mean(axis=1) - held.level, slopes[..., 0]
    if held.share_B is not None:
        mean = g.mean(axis=1)
        top = np.argmax(mean, axis=-1)
        rows = np.arange(len(theta))
        value = at_x[..., 0].mean(axis=1) - held.share_B * mean[rows, top]
        slopes = slopes - held.share_B[:, None, None] * gradient[rows, :, :, top]
    normal = slopes * slope_of_box / num_parts
    both = np.linalg.solve(system, np.stack([right, normal], axis=-1))
    free, along = both[..., 0], both[..., 1]
    multiplier = ((normal * free).sum(axis=(1, 2)) + value) / ((normal * along).sum(axis=(1, 2)) + 1e-9)
    return free - along * multiplier[:, None, None], multiplier
