"""The bounded law: F* as a share of the ceiling, whose logit is linear in ln N. For a collapse pinned under it."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from engine.analysis.forms.base import LawForm, Scale, rows_in_size
from engine.analysis.likelihood import Array
from engine.errors import FitError


def _logit_of_share(log_frequency: Array, ceiling: float | None) -> Array:
    assert ceiling is not None
    return np.asarray(logit(np.clip(np.exp(log_frequency - np.log(ceiling)), 1e-9, 1 - 1e-6)))


def _share_of_ceiling(value: float, ceiling: float | None) -> float:
    if ceiling is None:
        raise FitError("the bounded law needs the ceiling at this size and budget.")
    return ceiling * float(expit(value))


def _words(beta: Array, size: str, budget: str, name: str) -> str:
    return f"{name} = ceiling · S({beta[0]:.3g} + {beta[1]:.3g} · ln(N / {size})),  S the logistic function"


BOUNDED = LawForm(
    name="bounded",
    parameters=("logit_share", "slope_params"),
    refusal=lambda points: None if all(p.ceiling for p in points) else "",
    design=rows_in_size,
    equation=_words,
    needs="it needs a ceiling that is known for every point",
    scale=Scale(_logit_of_share, _share_of_ceiling),
)
