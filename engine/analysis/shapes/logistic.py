"""The double logistic: rise and fall are logistic functions, of scale w.

g(x) = h · [u + (1 − u)·S((x − a)/w₁)] · [1 − (1 − v)·S((x − c)/w₂)],   S the logistic function.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from engine.analysis.shapes.base import LOG_W1, LOG_W2, A, Array, C, H, Shape, U, V, parameters


def _levels(theta: Array, x: Array) -> Array:
    h, u, v, a, log_w1, c, log_w2 = parameters(theta)
    rise = u + (1 - u) * expit((x - a) / np.exp(log_w1))
    fall = 1 - (1 - v) * expit((x - c) / np.exp(log_w2))
    return np.asarray(h * rise * fall)


def _levels_and_gradient(theta: Array, x: Array) -> tuple[Array, Array]:
    h, u, v, a, log_w1, c, log_w2 = parameters(theta)
    w1, w2 = np.exp(log_w1), np.exp(log_w2)
    z1, z2 = (x - a) / w1, (x - c) / w2
    s1, s2 = expit(z1), expit(z2)
    rise, fall = u + (1 - u) * s1, 1 - (1 - v) * s2
    slope1, slope2 = h * fall * (1 - u) * s1 * (1 - s1), h * rise * (1 - v) * s2 * (1 - s2)
    g = h * rise * fall
    gradient = np.empty((*g.shape[:-1], theta.shape[-1], g.shape[-1]))
    gradient[..., H, :] = rise * fall
    gradient[..., U, :] = h * fall * (1 - s1)
    gradient[..., V, :] = h * rise * s2
    gradient[..., A, :] = -slope1 / w1
    gradient[..., LOG_W1, :] = -slope1 * z1
    gradient[..., C, :] = slope2 / w2
    gradient[..., LOG_W2, :] = slope2 * z2
    return g, gradient


def _within(start: Array, length: Array) -> tuple[Array, Array]:
    return start + length / 2, length / 16


def _widest(octaves: float) -> float:
    return 1.5


def _start_widths(octaves: float) -> tuple[float, ...]:
    return (0.1, 0.4)


LOGISTIC = Shape("double logistic", _levels_and_gradient, _levels, _widest, _start_widths, _within, _within)
