"""`kitui predict`: the collapse point and the frequency to use at a size too big to sweep."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from engine.errors import FitError, SpecError
from engine.records.results import SCHEMA_VERSION
from engine.records.workspace import Workspace
from engine.spec.models import PRESETS
from engine.spec.numbers import format_count, parse_number
from kitui.services.filters import parse_filter
from kitui.services.sweeps import analysis

_CONDITION = (
    "num_params",
    "num_params_total",
    "num_tokens",
    "templates",
    "fill",
    "stages",
    "mixture",
    "num_infused_facts",
    "ceiling_frequency",
)
_CONDITION_COLUMNS = ("templates", "fill", "stages", "mixture", "num_infused_facts")


def predict_document(
    workspace: Workspace,
    sweep: str,
    *,
    params: str,
    tokens: str | None,
    target_retention: float | None,
    where: str | None,
) -> dict[str, Any]:
    """The document of `kitui predict --json`. Without a law its frequency is null, and `reason` says why."""
    size = float(PRESETS[params].num_params) if params in PRESETS else _count(params, "--params")
    if target_retention is not None and not 0 < target_retention < 1:
        raise SpecError("expected a retention between 0 and 1.", key="--target-retention", value=target_retention)
    document = analysis(workspace, sweep, target_retention=target_retention)
    law = document["law"]
    head = {"schema_version": SCHEMA_VERSION, "sweep": law["sweep"], "simulated": law["simulated"]}
    if not law["laws"]:
        return head | _refusal(size, tokens, law["reason"])
    one = _choose(law["laws"], where)
    members = [p["condition"] for p in law["collapse_points"] if _same(p["condition"], one["condition"])]
    budgets = sorted({c["num_tokens"] for c in members})
    if tokens is None and len(budgets) > 1:
        choices = ", ".join(format_count(b) for b in budgets)
        raise SpecError("the sweep has several token budgets.", key="--tokens", mend=f"Give one, such as {choices}.")
    budget = _count(tokens, "--tokens") if tokens else budgets[0]
    if one["form"] != "power N and D" and budget not in budgets:
        return head | _refusal(
            size,
            str(budget),
            f"runs have D = {', '.join(map(format_count, budgets))}: the law says nothing of other budgets",
        )
    ceiling = next((c["ceiling_frequency"] for c in members if c["num_tokens"] == budget), None)
    try:
        return head | _predict(one, size, budget, ceiling)
    except FitError as error:
        return head | _refusal(size, str(budget), str(error))


def _predict(one: dict[str, Any], size: float, budget: float, ceiling: float | None) -> dict[str, Any]:
    from engine.analysis.predictions import law_from_json, prediction_json

    acquisition = one["acquisition"]
    return prediction_json(
        law_from_json(one["fit"]),
        law_from_json(acquisition["fit"]) if acquisition["fit"] else None,
        num_params=size,
        num_tokens=budget,
        condition=one["condition"],
        ceiling=ceiling,
        acquisition_reason=acquisition.get("reason"),
    )


def _refusal(size: float, tokens: str | None, reason: str | None) -> dict[str, Any]:
    budget = _count(tokens, "--tokens") if tokens else None
    return {
        "condition": dict.fromkeys(_CONDITION) | {"num_params": size, "num_tokens": budget},
        "frequency": None,
        "interval": None,
        "acquisition_frequency": None,
        "acquisition_interval": None,
        "extrapolation": None,
        "recommended_frequency": None,
        "reason": reason,
        "warnings": [],
    }


def _choose(laws: list[dict[str, Any]], where: str | None) -> dict[str, Any]:
    if where:
        keep = parse_filter(where, _CONDITION_COLUMNS)
        laws = [one for one in laws if keep(SimpleNamespace(**one["condition"]))]
    if len(laws) == 1:
        return laws[0]
    choices = "; ".join(" and ".join(f"{k}={v}" for k, v in one["condition"].items() if v is not None) for one in laws)
    what = "several conditions have laws." if laws else "no condition with a law fits."
    raise SpecError(what, key="--where", value=where or "", mend=f"Choose one: {choices}." if choices else "")


def _same(condition: dict[str, Any], law_condition: dict[str, Any]) -> bool:
    return all(condition[key] == value for key, value in law_condition.items())


def _count(text: str, option: str) -> float:
    try:
        number = float(parse_number(text))
    except ValueError as error:
        raise SpecError(f"{error}.", key=option, value=text) from None
    if number <= 0 or not math.isfinite(number):
        raise SpecError("expected a number above zero.", key=option, value=text)
    return number
