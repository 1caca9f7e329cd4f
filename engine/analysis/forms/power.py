"""The power law in N: F* = A · (N / N₀)^α."""

from __future__ import annotations

import math

from engine.analysis.forms.base import LawForm, rows_in_size
from engine.analysis.likelihood import Array


def power_words(beta: Array, size: str, name: str) -> str:
    """The law on the scale that people read."""
    return f"{name} = {math.exp(beta[0]):.3g} · (N / {size})^{beta[1]:.3g}"


POWER = LawForm(
    name="power",
    parameters=("log_coefficient", "exponent_params"),
    refusal=lambda points: None,
    design=rows_in_size,
    equation=lambda beta, size, budget, name: power_words(beta, size, name),
)
