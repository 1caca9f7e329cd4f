"""A fitted law as JSON and back, and what it predicts: the window between acquisition and collapse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.analysis.law import Law, predict
from engine.spec.numbers import format_count


def prediction_json(
    law: Law,
    acquisition: Law | None,
    *,
    num_params: float,
    num_tokens: float,
    condition: dict[str, Any],
    ceiling: float | None,
    acquisition_reason: str | None,
) -> dict[str, Any]:
    """The document of `kitui predict --json`. FitError where the law cannot be read at this size and budget."""
    predicted = predict(law, num_params, num_tokens, ceiling)
    acquired = predict(acquisition, num_params, num_tokens) if acquisition else None
    low = predicted.interval[0]
    warnings, recommended, reason = [], None, None
    if acquired is None:
        reason = f"the acquisition frequency is not known at this size ({acquisition_reason})"
    elif low <= acquired.interval[1]:
        reason = (
            f"no frequency is safe on both sides: F* may be as low as {low:,.3g}, and acquisition may take as many as "
            f"{acquired.interval[1]:,.3g}"
        )
    else:
        recommended = low
    if predicted.extrapolation > 10:
        warnings.append(f"{predicted.extrapolation:,.0f} times larger than the largest size fitted")
    if ceiling is not None and predicted.frequency > ceiling:
        warnings.append(f"above the ceiling of {ceiling:,.0f}: with this budget the collapse would not be reached")
    return {
        "condition": condition
        | {"num_params": num_params, "num_params_total": None, "num_tokens": num_tokens, "ceiling_frequency": ceiling},
        "frequency": predicted.frequency,
        "interval": list(predicted.interval),
        "acquisition_frequency": acquired.frequency if acquired else None,
        "acquisition_interval": list(acquired.interval) if acquired else None,
        "extrapolation": predicted.extrapolation,
        "recommended_frequency": recommended,
        "reason": reason,
        "warnings": warnings,
    }


def law_json(law: Law | None) -> dict[str, Any] | None:
    if law is None:
        return None
    return law._asdict() | {"beta": law.beta.tolist(), "covariance": law.covariance.tolist(), "aicc": finite(law.aicc)}


def law_from_json(data: dict[str, Any]) -> Law:
    arrays = {name: np.array(data[name]) for name in ("beta", "covariance")}
    aicc = math.inf if data["aicc"] is None else data["aicc"]
    return Law(**(data | arrays | {"aicc": aicc, "centre": tuple(data["centre"])}))


def equation(law: Law, name: str = "F*") -> str:
    """The law in words, on the scale people read."""
    size, budget = (format_count(c) for c in law.centre)
    b = [float(x) for x in law.beta]
    if law.form == "bounded":
        return f"{name} = ceiling · S({b[0]:.3g} + {b[1]:.3g} · ln(N / {size})),  S the logistic function"
    text = f"{name} = {math.exp(b[0]):.3g} · (N / {size})^{b[1]:.3g}"
    if law.form == "power N and D":
        text += f" · (D / {budget})^{b[2]:.3g}"
    if law.form == "offset":
        text += f" + {math.exp(b[2]):.3g}"
    return text


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
