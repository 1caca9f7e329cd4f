"""Maximum likelihood for many starts and many constraints at once.

A profile likelihood is the same fit repeated with one quantity held at each place of a grid. All these problems have
the same shape, so they are solved side by side: Fisher scoring with Levenberg–Marquardt damping, on parameters mapped
into their box by a logistic, with an equality constraint carried by its Lagrange multiplier (a Newton–KKT step, taken
if it lowers −log L + penalty · |constraint|). One curve's whole profile takes about as long as one ordinary fit. By
hand because SciPy's optimisers solve one problem at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from engine.analysis.shape import (
    NUM_PARAMETERS,
    Array,
    Part,
    box,
    mean_curve,
    shape,
    shape_gradient,
)

_MAX_STEPS = 60
_TOLERANCE = 1e-4  # log-likelihood gained in a step, and distance from the constraint, at which a problem is solved

# For parameters [B, P, 7] of the problems with these numbers: the constraint's value [B], and its gradient [B, P, 7]
# where asked for.
Constraint = Callable[[Array, NDArray[np.intp], bool], tuple[Array, Array | None]]


def share_constraint(x_B: Array, doses: Array, share: float) -> Constraint:
    """g(x) = share · (largest g at a tested dose), of the parts' mean, at one x for each problem."""

    def value(theta: Array, problems: NDArray[np.intp], with_gradient: bool) -> tuple[Array, Array | None]:
        top = doses[np.argmax(mean_curve(theta, doses), axis=-1)]
        places = np.stack([x_B[problems], top], axis=-1)[:, None, :]
        if not with_gradient:
            g = shape(theta, places).mean(axis=1)
            return g[:, 0] - share * g[:, 1], None
        g, gradient = shape_gradient(theta, places)
        g = g.mean(axis=1)
        return g[:, 0] - share * g[:, 1], (gradient[..., 0] - share * gradient[..., 1]) / theta.shape[1]

    return value


def level_constraint(x_B: Array, level: float) -> Constraint:
    """g(x) = level, of the parts' mean, at one x for each problem."""

    def value(theta: Array, problems: NDArray[np.intp], with_gradient: bool) -> tuple[Array, Array | None]:
        places = x_B[problems, None, None]
        if not with_gradient:
            return shape(theta, places).mean(axis=1)[:, 0] - level, None
        g, gradient = shape_gradient(theta, places)
        return g.mean(axis=1)[:, 0] - level, gradient[..., 0] / theta.shape[1]

    return value


def maximise(
    parts: Sequence[Part], doses: Array, starts: Array, constraint: Constraint | None = None
) -> tuple[Array, Array]:
    """Climb from each start [B, P, 7]. Returns log-likelihoods [B], −inf where the constraint could not be met, and
    parameters [B, P, 7]."""
    low, high = box(doses)
    width = high - low
    z = logit(np.clip((starts - low) / width, 1e-3, 1 - 1e-3))
    loglik, gap = _evaluate(parts, low + width * expit(z), constraint, np.arange(len(z)))
    damping, penalty = np.full(len(z), 1e-2), np.full(len(z), 10.0)
    active = np.arange(len(z))  # problems not solved yet
    for _ in range(_MAX_STEPS):
        theta = low + width * expit(z[active])
        step, multiplier = _step(
            parts, theta, (theta - low) * (high - theta) / width, damping[active], constraint, active
        )
        penalty[active] = np.maximum(penalty[active], 2 * np.abs(multiplier))
        trial = np.clip(z[active] + np.clip(step, -2.0, 2.0), -9.0, 9.0)
        new_loglik, new_gap = _evaluate(parts, low + width * expit(trial), constraint, active)
        gain = new_loglik - loglik[active] - penalty[active] * (np.abs(new_gap) - np.abs(gap[active]))
        better = gain > 0
        moved = active[better]
        z[moved], loglik[moved], gap[moved] = trial[better], new_loglik[better], new_gap[better]
        damping[active] = np.where(better, np.maximum(damping[active] / 5, 1e-7), damping[active] * 4)
        solved = better & (gain < _TOLERANCE) & (np.abs(new_gap) < _TOLERANCE)
        active = active[~solved & (damping[active] < 1e6)]
        if not len(active):
            break
    return np.where(np.abs(gap) < 1e-3, loglik, -np.inf), low + width * expit(z)


def _evaluate(
    parts: Sequence[Part], theta: Array, constraint: Constraint | None, problems: NDArray[np.intp]
) -> tuple[Array, Array]:
    total = sum(part.log_likelihood(shape(theta[:, i], part.doses)) for i, part in enumerate(parts))
    gap = constraint(theta, problems, False)[0] if constraint else np.zeros(len(theta))
    return np.asarray(total), gap


def _step(
    parts: Sequence[Part],
    theta: Array,
    slope_of_box: Array,
    damping: Array,
    constraint: Constraint | None,
    problems: NDArray[np.intp],
) -> tuple[Array, Array]:
    """The damped Newton–KKT step in the unboxed parameters, [B, P, 7], and the constraint's multiplier, [B]."""
    num_problems, num_parts = theta.shape[:2]
    size = num_parts * NUM_PARAMETERS
    system = np.zeros((num_problems, size + 1, size + 1))
    right = np.zeros((num_problems, size + 1))
    for i, part in enumerate(parts):
        g, gradient = shape_gradient(theta[:, i], part.doses)
        gradient = gradient * slope_of_box[:, i, :, None]
        score, information = part.score_and_information(g)
        block = slice(i * NUM_PARAMETERS, (i + 1) * NUM_PARAMETERS)
        right[:, block] = (gradient * score[:, None, :]).sum(axis=-1)
        system[:, block, block] = (gradient * information[:, None, :]) @ gradient.transpose(0, 2, 1)
    diagonal = np.arange(size)
    system[:, diagonal, diagonal] *= 1 + damping[:, None]
    # A parameter that the data do not reach (a fall beyond the last dose) has no information: keep it where it is.
    system[:, diagonal, diagonal] += 1e-3 + 1e-2 * damping[:, None]
    if constraint is None:
        system[:, size, size] = 1.0
    else:
        value, slopes = constraint(theta, problems, True)
        assert slopes is not None
        normal = (slopes * slope_of_box).reshape(num_problems, size)
        system[:, size, :size], system[:, :size, size] = normal, normal
        system[:, size, size] = -1e-9
        right[:, size] = -value
    solution = np.linalg.solve(system, right[..., None])[..., 0]
    return solution[:, :size].reshape(theta.shape), solution[:, size]
