"""Does retention fall at all? The likelihood ratio of rise-and-fall against the best non-decreasing fit.

Both are order-restricted fits of the doses' mean retentions, weighted by the precision that the counts and the pooled
scatter of seeds give them: isotonic regression against unimodal regression (Robertson, Wright, Dykstra 1988). The
level of the test comes from a parametric bootstrap under the null. There, levels within two standard errors of the
highest are set equal, the least favourable case: with the isotonic fit itself as the null, the test is too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class DosePart(NamedTuple):
    """One fact set at one dose: each seed's retention, and how to draw such values around any mean retention.

    Where there are choices, retentions come from beta-binomial counts out of so many questions; else (0 choices) from a
    normal."""

    retentions: Array
    num_questions: Array
    num_choices: Array
    rho: float
    sd: float

    @property
    def mean(self) -> float:
        return float(self.retentions.mean())

    def variance_of_mean(self, level: float | None = None) -> float:
        """The variance of the seeds' mean retention around a level, their own mean by default; levels are taken off 0
        and 1, where a binomial's would vanish."""
        level = self.mean if level is None else level
        num_seeds = len(self.retentions)
        if not self.num_choices.all():
            return self.sd**2 / num_seeds
        chance, n = 1 / self.num_choices, self.num_questions
        accuracy = chance + (1 - chance) * level
        accuracy = (accuracy * n.sum() + 0.5) / (n.sum() + 1)
        variances = accuracy * (1 - accuracy) / n * (1 + (n - 1) * self.rho) / (1 - chance) ** 2
        return float(variances.mean()) / num_seeds

    def draw_means(self, level: float, inflation: Array, rng: np.random.Generator) -> Array:
        """Seed means of simulated retentions around `level`, one for each entry of `inflation`, a factor on rho (or
        on the variance) that carries the uncertainty of the pooled scatter."""
        shape = (len(inflation), len(self.retentions))
        if not self.num_choices.all():
            return np.asarray(
                level + self.sd / np.sqrt(shape[1]) * np.sqrt(inflation) * rng.standard_normal(len(inflation))
            )
        chance = 1 / self.num_choices
        accuracy = np.clip(chance + (1 - chance) * level, 1e-4, 1 - 1e-4)
        rho = np.clip(self.rho * inflation, 1e-6, 0.9)[:, None]
        size = (1 - rho) / rho
        chances = rng.beta(accuracy * size, (1 - accuracy) * size, size=shape)
        counts = rng.binomial(self.num_questions.astype(np.int64), chances)
        return np.asarray(((counts / self.num_questions - chance) / (1 - chance)).mean(axis=1))


class GateResult(NamedTuple):
    """How likely a fall as large is where none is (`p_value`), and the likelihood ratio it is read from."""

    p_value: float
    statistic: float


def collapse_test(
    doses: Sequence[Sequence[DosePart]], *, dispersion: float, residual_df: int, num_draws: int = 999, seed: int = 0
) -> GateResult:
    """Test one curve. `doses` are in ascending order, each with its parts (one, or prior and infused, whose mean is
    the curve); `dispersion` scales the variance of that mean for what the parts have in common; `residual_df` are the
    degrees of freedom behind the pooled scatter."""
    num_parts = len(doses[0])
    levels_PJ = np.array([[dose[p].mean for dose in doses] for p in range(num_parts)])
    variances = np.array([sum(part.variance_of_mean() for part in dose) for dose in doses]) / num_parts**2 * dispersion
    weights = 1 / variances
    means = levels_PJ.mean(axis=0)
    statistic = float(_statistic(means[None], weights)[0])
    if statistic <= 1e-9:
        return GateResult(1.0, 0.0)

    null = _least_favourable(isotonic(means[None], weights)[0], means, weights)
    # The parts keep their differences; together they are moved onto the null.
    null_PJ = np.clip(levels_PJ + (null - means), 0.0, 1.0)
    null = null_PJ.mean(axis=0)
    rng = np.random.default_rng(seed)
    inflation = residual_df / rng.chisquare(residual_df, num_draws)
    draws = np.empty((num_draws, len(doses)))
    for j, dose in enumerate(doses):
        drawn = sum(part.draw_means(float(null_PJ[p, j]), inflation, rng) for p, part in enumerate(dose)) / num_parts
        draws[:, j] = null[j] + np.sqrt(dispersion) * (drawn - null[j])
    null_statistics = _statistic(draws, weights)
    return GateResult(float((1 + (null_statistics >= statistic - 1e-12).sum()) / (num_draws + 1)), statistic)


def isotonic(values_BJ: Array, weights_J: Array) -> Array:
    """The weighted least-squares non-decreasing fit of each row, by the max-min formula."""
    means_ab = _block_means(values_BJ, weights_J)
    num_doses = values_BJ.shape[1]
    fitted = np.empty_like(values_BJ)
    for j in range(num_doses):
        lowest = [np.min(means_ab[a][:, j - a :], axis=1) for a in range(j + 1)]
        fitted[:, j] = np.max(lowest, axis=0)
    return fitted


def unimodal_loss(values_BJ: Array, weights_J: Array) -> Array:
    """The weighted squared error of each row's best rise-and-fall fit: the best split into a rise and a fall."""
    num_doses = values_BJ.shape[1]
    losses = []
    for split in range(1, num_doses + 1):
        rise = _loss(values_BJ[:, :split], isotonic(values_BJ[:, :split], weights_J[:split]), weights_J[:split])
        if split < num_doses:
            backwards = values_BJ[:, : split - 1 : -1] if split else values_BJ[:, ::-1]
            reversed_weights = weights_J[: split - 1 : -1]
            rise = rise + _loss(backwards, isotonic(backwards, reversed_weights), reversed_weights)
        losses.append(rise)
    return np.asarray(np.min(losses, axis=0))


def _statistic(values_BJ: Array, weights_J: Array) -> Array:
    return _loss(values_BJ, isotonic(values_BJ, weights_J), weights_J) - unimodal_loss(values_BJ, weights_J)


def _loss(values_BJ: Array, fitted_BJ: Array, weights_J: Array) -> Array:
    return np.asarray((weights_J * (values_BJ - fitted_BJ) ** 2).sum(axis=1))


def _block_means(values_BJ: Array, weights_J: Array) -> list[Array]:
    """For each first dose a, the weighted means of doses a..b for all b ≥ a, [rows, J − a]."""
    weighted = values_BJ * weights_J
    return [np.cumsum(weighted[:, a:], axis=1) / np.cumsum(weights_J[a:]) for a in range(values_BJ.shape[1])]


def _least_favourable(fitted: Array, means: Array, weights: Array) -> Array:
    """The isotonic fit with all levels within two standard errors of the highest pooled."""
    top = fitted >= fitted[-1] - 1e-12
    error = 1 / np.sqrt(weights[top].sum())
    near = fitted >= fitted[-1] - 2 * error
    pooled = fitted.copy()
    pooled[near] = float((means[near] * weights[near]).sum() / weights[near].sum())
    return pooled
