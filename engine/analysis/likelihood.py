"""The likelihood of a curve's levels at its tested doses, tabulated once.

One fact set's mean accuracy at a dose is 1/k + (1 − 1/k)·g. Numbers of correct answers are beta-binomial with
intraclass correlation rho, which carries the scatter between seeds; k is each observation's own. Where only a measure's
values are known they are normal. `overall` is the mean of its parts' g, and its likelihood their product.

A fit asks for the likelihood of levels many thousand times, always of the same counts: it is tabulated, a function of g
for each dose (closer together towards 0 and 1), and read off by cubic Hermite interpolation.

Shape suffixes: N observations, J doses, K table entries, C curves, P parts, B problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, digamma

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_TABLE_SIZE = 257
LEVELS_K: Array = (1 - np.cos(np.linspace(0, np.pi, _TABLE_SIZE))) / 2
_SMALLEST_CHANCE = 1e-5


class Part(NamedTuple):
    """One fact set's observations. `values_N`: numbers of correct answers out of `questions_N`, with `choices_N` to
    each question and intraclass correlation `rho`; or, where `choices_N` is 0, values of a measure from 0 to 1, with
    standard deviation `sd`. `x_N` are log2 doses. `weights_N`: how far a run counts (a dead one does not).
    """

    x_N: Array
    values_N: Array
    questions_N: Array
    choices_N: Array
    weights_N: Array
    rho: float
    sd: float

    @property
    def retentions_N(self) -> Array:
        return retentions(self.values_N, self.questions_N, self.choices_N)

    def at(self, x: float) -> Part:
        """What of it lies at one dose."""
        here = self.x_N == x
        return self._replace(**{name: getattr(self, name)[here] for name in self._fields if name.endswith("_N")})


def retentions(values: Array, questions: Array, choices: Array) -> Array:
    """Retentions of counts, chance taken off; values where there are no choices."""
    chance = np.where(choices > 0, 1 / np.maximum(choices, 1), 0.0)
    return np.asarray(np.where(choices > 0, (values / np.maximum(questions, 1) - chance) / (1 - chance), values))


class Tables(NamedTuple):
    """Log-likelihood of level g, its derivative and the expected information about g, for curves with equally many
    parts, each [C, P, J, K]; `doses_CJ` are log2 doses. Curves with fewer doses have their last one repeated, where
    nothing was observed."""

    values: Array
    slopes: Array
    information: Array
    doses_CJ: Array

    def repeated(self, times: int) -> Tables:
        """All curves, so many times over."""
        return Tables(*(np.concatenate([table] * times) for table in self))

    def part(self, index: int) -> Tables:
        """One part of each curve, as a curve of its own."""
        one = slice(index, index + 1)
        values, slopes, information = (np.ascontiguousarray(table[:, one]) for table in self[:3])
        return Tables(values, slopes, information, self.doses_CJ)

    def log_likelihood(self, curve_B: Index, g: Array) -> Array:
        """Of levels g [B, P, J], summed over parts and doses: [B]."""
        return np.asarray(self._read(curve_B, g)[0].sum(axis=(1, 2)))

    def score_and_information(self, curve_B: Index, g: Array) -> tuple[Array, Array]:
        """The derivative in g and the expected information about g, each [B, P, J]."""
        _, slope, information = self._read(curve_B, g)
        return slope, information

    def _read(self, curve_B: Index, g: Array) -> tuple[Array, Array, Array]:
        g = np.clip(g, 0.0, 1.0)
        place = np.arccos(1 - 2 * g) * ((_TABLE_SIZE - 1) / np.pi)
        cell = np.minimum(place.astype(np.intp), _TABLE_SIZE - 2)
        num_parts, num_doses = self.values.shape[1:3]
        rows = (curve_B[:, None, None] * num_parts + np.arange(num_parts)[:, None]) * num_doses + np.arange(num_doses)
        flat = rows * _TABLE_SIZE + cell
        low = LEVELS_K[cell]
        width = LEVELS_K[cell + 1] - low
        t = (g - low) / width
        values, slopes = self.values.ravel(), self.slopes.ravel()
        y0, rise = values[flat], values[flat + 1] - values[flat]
        m0, m1 = slopes[flat] * width, slopes[flat + 1] * width
        c2, c3 = 3 * rise - 2 * m0 - m1, m0 + m1 - 2 * rise
        value = y0 + t * (m0 + t * (c2 + t * c3))
        return value, (m0 + t * (2 * c2 + 3 * t * c3)) / width, self.information.ravel()[flat]


def tabulate(parts_CP: Sequence[Sequence[Part]], doses_C: Sequence[Array]) -> Tables:
    """Tables of curves, each with its parts and its log2 doses in ascending order."""
    num_doses = max(map(len, doses_C))
    shape = (len(parts_CP), len(parts_CP[0]), num_doses, _TABLE_SIZE)
    values, slopes, information = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    doses_CJ = np.empty((len(parts_CP), num_doses))
    for c, (parts, doses) in enumerate(zip(parts_CP, doses_C, strict=True)):
        doses_CJ[c] = np.pad(doses, (0, num_doses - len(doses)), mode="edge")
        for p, part in enumerate(parts):
            by_observation = _tabulated(part)
            where_JN = (doses[:, None] == part.x_N) * part.weights_N
            for table, of_observations in zip((values, slopes, information), by_observation, strict=True):
                table[c, p, : len(doses)] = where_JN @ of_observations
    return Tables(values, slopes, information, doses_CJ)


def _tabulated(part: Part) -> tuple[Array, Array, Array]:
    """Log-likelihood, its derivative in g and the information, each [N, K]. What several observations have in common
    is worked out once."""
    if not part.choices_N.any():
        residual = (part.values_N[:, None] - LEVELS_K) / part.sd
        return -0.5 * residual**2, residual / part.sd, np.full(residual.shape, part.sd**-2)
    observed = np.stack([part.values_N, part.questions_N, part.choices_N], axis=1)
    unique, place_N = np.unique(observed, axis=0, return_inverse=True)
    place_N = np.ravel(place_N)
    right, asked, choices = (unique[:, i, None] for i in range(3))
    chance = 1 / choices
    p = np.clip(chance + (1 - chance) * LEVELS_K, _SMALLEST_CHANCE, 1 - _SMALLEST_CHANCE)
    size = (1 - part.rho) / part.rho
    alpha, beta, wrong = p * size, (1 - p) * size, asked - right
    value = betaln(right + alpha, wrong + beta) - betaln(alpha, beta)
    slope = size * (1 - chance) * (digamma(right + alpha) - digamma(wrong + beta) - digamma(alpha) + digamma(beta))
    precision = asked / (1 + (asked - 1) * part.rho)
    inside = np.clip(p, 1e-4, 1 - 1e-4)
    information = precision * (1 - chance) ** 2 / (inside * (1 - inside))
    return value[place_N], slope[place_N], information[place_N]
