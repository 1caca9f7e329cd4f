"""The power law in N and D: F* = A · (N / N₀)^α · (D / D₀)^β."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.analysis.forms.base import LawForm
from engine.analysis.forms.power import power_words
from engine.analysis.law_points import LawPoint

# N and D are one variable where they are this strongly correlated (designs such as D = 20 N).
_LARGEST_CORRELATION = 0.98


def _refusal(points: Sequence[LawPoint]) -> str | None:
    sizes = np.log([p.num_params for p in points])
    budgets = np.log([p.num_tokens for p in points])
    if np.ptp(budgets) == 0:
        return ""
    if np.ptp(sizes) > 0 and abs(np.corrcoef(sizes, budgets)[0, 1]) > _LARGEST_CORRELATION:
        return "size and token budget rise together: their effects cannot be told apart"
    return None


POWER_TOKENS = LawForm(
    name="power N and D",
    parameters=("log_coefficient", "exponent_params", "exponent_tokens"),
    refusal=_refusal,
    design=lambda x, y: np.stack([np.ones_like(x), x, y], axis=1),
    equation=lambda beta, size, budget, name: f"{power_words(beta, size, name)} · (D / {budget})^{beta[2]:.3g}",
    uses_tokens=True,
)
