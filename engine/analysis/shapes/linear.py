"""Piecewise linear shapes in x: a ramp up that ends at a, a plateau, a ramp down that begins at c; w are their lengths.

The trapezoid is linear in g, the logit trapezoid in logit g, where u and v say how many of at most 8 logits rise and
fall take. A tent is one without a plateau. Corners are rounded over a few hundredths of an octave, for derivatives.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from engine.analysis.shapes.base import LOG_W1, LOG_W2, A, Array, C, H, Shape, U, V, parameters

_ROUNDING_OCTAVES = 0.03
_MOST_LOGITS = 8.0


def _ramp(x: Array, start: Array, length: Array) -> tuple[Array, Array, Array]:
    """A ramp from 0 at `start` to 1, rounded at both corners; and how far x has passed its start and its end, each
    from 0 to 1."""
    t1, t2 = (x - start) / _ROUNDING_OCTAVES, (x - start - length) / _ROUNDING_OCTAVES
    e1, e2 = np.exp(-np.abs(t1)), np.exp(-np.abs(t2))
    # ln(1 + eᵗ), and the logistic function of t, from one exponential
    area = np.maximum(t1, 0) - np.maximum(t2, 0) + np.log1p(e1) - np.log1p(e2)
    passed1, passed2 = np.where(t1 >= 0, 1, e1) / (1 + e1), np.where(t2 >= 0, 1, e2) / (1 + e2)
    return area * _ROUNDING_OCTAVES / length, passed1, passed2


def _ramps(theta: Array, x: Array) -> tuple[Array, Array, tuple[Array, Array, Array, Array]]:
    """Rise and fall, each [..., X] from 0 to 1; and their derivatives in a, ln w₁, c, ln w₂."""
    _, _, _, a, log_w1, c, log_w2 = parameters(theta)
    w1, w2 = np.exp(log_w1), np.exp(log_w2)
    rise, begun1, ended1 = _ramp(x, a - w1, w1)
    fall, begun2, ended2 = _ramp(x, c, w2)
    return rise, fall, ((ended1 - begun1) / w1, begun1 - rise, (ended2 - begun2) / w2, ended2 - fall)


def _put(gradient: Array, by_rise: Array, by_fall: Array, slopes: tuple[Array, ...]) -> None:
    """The derivatives in places and widths, from those in rise and fall."""
    for index, by, slope in zip((A, LOG_W1, C, LOG_W2), (by_rise, by_rise, by_fall, by_fall), slopes, strict=True):
        gradient[..., index, :] = by * slope


def _trapezoid(theta: Array, x: Array) -> Array:
    h, u, v, *_ = parameters(theta)
    rise, fall, _ = _ramps(theta, x)
    return np.asarray(h * (u + (1 - u) * rise) * (1 - (1 - v) * fall))


def _trapezoid_gradient(theta: Array, x: Array) -> tuple[Array, Array]:
    h, u, v, *_ = parameters(theta)
    rise, fall, slopes = _ramps(theta, x)
    before, after = u + (1 - u) * rise, 1 - (1 - v) * fall
    g = h * before * after
    gradient = np.empty((*g.shape[:-1], theta.shape[-1], g.shape[-1]))
    gradient[..., H, :] = before * after
    gradient[..., U, :] = h * after * (1 - rise)
    gradient[..., V, :] = h * before * fall
    _put(gradient, h * after * (1 - u), -h * before * (1 - v), slopes)
    return g, gradient


def _logits(theta: Array, rise: Array, fall: Array) -> tuple[Array, Array]:
    """logit g, and its derivative in h."""
    h, u, v, *_ = parameters(theta)
    h = np.maximum(h, 1e-6)
    return np.log(h / (1 - h)) - _MOST_LOGITS * ((1 - u) * (1 - rise) + (1 - v) * fall), 1 / (h * (1 - h))


def _logit_trapezoid(theta: Array, x: Array) -> Array:
    rise, fall, _ = _ramps(theta, x)
    return np.asarray(expit(_logits(theta, rise, fall)[0]))


def _logit_trapezoid_gradient(theta: Array, x: Array) -> tuple[Array, Array]:
    _, u, v, *_ = parameters(theta)
    rise, fall, slopes = _ramps(theta, x)
    logits, in_h = _logits(theta, rise, fall)
    g = expit(logits)
    slope = g * (1 - g)
    steep = slope * _MOST_LOGITS
    gradient = np.empty((*g.shape[:-1], theta.shape[-1], g.shape[-1]))
    gradient[..., H, :] = slope * in_h
    gradient[..., U, :] = steep * (1 - rise)
    gradient[..., V, :] = steep * fall
    _put(gradient, steep * (1 - u), -steep * (1 - v), slopes)
    return g, gradient


def _widest(octaves: float) -> float:
    return octaves + 1


def _start_widths(octaves: float) -> tuple[float, ...]:
    return (0.4, 1.5, max(3.0, octaves / 2))


def _fall_within(start: Array, length: Array) -> tuple[Array, Array]:
    """A little inside the gap: the corners are rounded."""
    return start + 0.15 * length, 0.7 * length


def _rise_within(start: Array, length: Array) -> tuple[Array, Array]:
    """A ramp up ends at its place."""
    return start + 0.85 * length, 0.7 * length


TRAPEZOID = Shape("trapezoid", _trapezoid_gradient, _trapezoid, _widest, _start_widths, _fall_within, _rise_within)
LOGIT_TRAPEZOID = Shape(
    "logit trapezoid",
    _logit_trapezoid_gradient,
    _logit_trapezoid,
    _widest,
    _start_widths,
    _fall_within,
    _rise_within,
)
