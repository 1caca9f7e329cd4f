"""What a law is held against: no dependence on size at all, in the frequency or in its share of the ceiling."""

from __future__ import annotations

import math

import numpy as np

from engine.analysis.forms.base import LawForm
from engine.analysis.forms.bounded import BOUNDED
from engine.analysis.likelihood import Array


def _ones(x: Array, y: Array) -> Array:
    return np.ones((len(x), 1))


CONSTANT = LawForm(
    name="constant",
    parameters=("log_coefficient",),
    refusal=lambda points: None,
    design=_ones,
    equation=lambda beta, size, budget, name: f"{name} = {math.exp(beta[0]):.3g}",
)
CONSTANT_SHARE = LawForm(
    name="constant share of the ceiling",
    parameters=("logit_share",),
    refusal=BOUNDED.refusal,
    design=_ones,
    equation=lambda beta, size, budget, name: f"{name} = {1 / (1 + math.exp(-beta[0])):.3g} · ceiling",
    scale=BOUNDED.scale,
)
