"""What all points say to a law: their profile likelihoods on the law's scale, and integrated over its scatter.

A law says where a size's frequency lies but for scatter, N(mean, σ²); a point's likelihood of a mean is its profile
integrated over that normal. Profiles are taken as constant on cells, so that the integral over a cell is exact (a
difference of normal distribution functions) however small σ is. The outermost cells reach to infinity and hold what
lies below the first dose and beyond the last. Likelihoods do not depend on the scale, so that those of laws on
different scales can be compared as they are.

Shape suffixes: n points, K cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from engine.analysis.forms import LawForm
from engine.analysis.law_points import LawPoint
from engine.analysis.likelihood import Array


class Evidence(NamedTuple):
    """All points on a law's scale. `peaks`: each one's best place; of a censored one, the nearer end of its doses."""

    edges_nK: Array
    likelihood_nK: Array
    peaks: Array


_NOTHING = -30.0
"""Log-likelihood at which a cell says nothing to any law."""


def evidence_of(points: Sequence[LawPoint], form: LawForm) -> Evidence:
    """Points on grids of one size; of each, all that lies outside its likely cells is one cell on either side."""
    edges, logliks, peaks = [], [], []
    for point in points:
        profile = point.profile
        log_peak = point.log_frequency if point.log_frequency is not None else float(profile.log_frequency[-1])
        grid = form.scale.of_log_frequency(profile.log_frequency, point.ceiling)
        middles = (grid[1:] + grid[:-1]) / 2
        all_edges = np.concatenate([[-np.inf], grid[:1], middles, grid[-1:], [np.inf]])
        loglik = np.concatenate([[profile.below], profile.loglik, [profile.beyond]])
        likely = np.flatnonzero(loglik[1:-1] > _NOTHING) + 1
        first, last = (likely[0], likely[-1]) if len(likely) else (1, len(loglik) - 2)
        edges.append(np.concatenate([[-np.inf], all_edges[first : last + 2], [np.inf]]))
        logliks.append(np.concatenate([[loglik[:first].max()], loglik[first : last + 1], [loglik[last + 1 :].max()]]))
        peaks.append(float(form.scale.of_log_frequency(np.array([log_peak]), point.ceiling)[0]))
    num_cells = max(map(len, logliks))
    # Cells without width, so that all have as many.
    spare = [(num_cells - len(one), one) for one in logliks]
    likelihood = [np.exp(np.insert(one, 1, np.full(num, -np.inf))) for num, one in spare]
    of_points = [np.insert(e, 1, np.full(num, e[1])) for (num, _), e in zip(spare, edges, strict=True)]
    return Evidence(np.stack(of_points), np.stack(likelihood), np.array(peaks))


def marginals(evidence: Evidence, means: Array, sigma: float | Array) -> tuple[Array, Array, Array]:
    """ln ∫ profile(u) N(u; mean, σ²) du of each point, with its derivatives in the mean and in ln σ; `means` [..., n]
    and `sigma` broadcast."""
    sigma = np.asarray(sigma, dtype=float)
    edges = (evidence.edges_nK - means[..., None]) / sigma[..., None]
    weights = evidence.likelihood_nK * _normal_mass(edges)
    total = weights.sum(axis=-1)
    inner = np.clip(edges, -40.0, 40.0)  # a density there is nothing, an infinite edge included
    density = np.exp(-0.5 * inner**2) / np.sqrt(2 * np.pi)
    moment = density * inner
    shares = evidence.likelihood_nK / total[..., None]
    by_mean = (shares * (density[..., :-1] - density[..., 1:])).sum(axis=-1) / sigma
    by_log_sigma = (shares * (moment[..., :-1] - moment[..., 1:])).sum(axis=-1)
    return np.log(total), by_mean, by_log_sigma


def _normal_mass(edges: Array) -> Array:
    """The normal probability of each cell between neighbouring edges, without cancellation in either tail."""
    folded = ndtr(-np.abs(edges))  # the tail beyond each edge, on its own side
    low, high = edges[..., :-1], edges[..., 1:]
    tails_low, tails_high = folded[..., :-1], folded[..., 1:]
    same_side = np.abs(tails_low - tails_high)
    return np.asarray(np.where((low < 0) & (high > 0), 1 - tails_low - tails_high, same_side))
