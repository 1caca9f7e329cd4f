"""Choosing conditions: `--where "templates=1"`, the same for curves, laws and predictions."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from engine.errors import SpecError
from engine.records.analysis import CurvesDocument, LawDocument
from engine.records.conditions import Condition, LawCondition
from kitui.services.columns import ALIASES
from kitui.services.filters import Getter, Predicate, parse_filter


def condition_filter(where: str, conditions: Collection[Condition | LawCondition]) -> Predicate:
    """Whether a condition is meant. SpecError points at what is not understood."""
    names = dict.fromkeys(name for condition in conditions for name in condition.by_field())
    return parse_filter(where, {name: _field(name) for name in names}, ALIASES | {"params": "num_params"})


def curves_where(document: CurvesDocument, where: str | None, fact_set: str | None) -> CurvesDocument:
    """The curves of these conditions and this fact set, as a document. SpecError where none fits."""
    curves = document.curves
    if fact_set is not None:
        curves = tuple(curve for curve in curves if curve.fact_set == fact_set)
    if where:
        keep = condition_filter(where, [curve.condition for curve in document.curves])
        curves = tuple(curve for curve in curves if keep(curve.condition))
        _check_any(where, curves, document.curves)
    return msgspec.structs.replace(document, curves=curves)


def law_where(document: LawDocument, where: str | None) -> LawDocument:
    """The collapse points of these conditions, and the laws that any of them belongs to, fitted as they were. SpecError
    where none fits."""
    if not where:
        return document
    keep = condition_filter(where, [point.condition for point in document.collapse_points])
    points = tuple(point for point in document.collapse_points if keep(point.condition))
    _check_any(where, points, document.collapse_points)
    of_laws = {point.condition.law_condition() for point in points}
    laws = tuple(one for one in document.laws if one.condition in of_laws)
    return msgspec.structs.replace(document, collapse_points=points, laws=laws)


def _check_any(where: str, kept: Collection[object], among: Collection[object]) -> None:
    if among and not kept:
        raise SpecError("no condition of the sweep fits.", key="--where", value=where)


def _field(name: str) -> Getter:
    return lambda condition: condition.by_field().get(name)
