"""Does the number of templates matter? Retention with the most less that with the fewest, and ln F* likewise, in pairs
of curves that agree in all else: N, D, fill, stages, mixture, facts, every other axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from engine.analysis.collapse import Collapse
from engine.analysis.curves import Curve
from engine.analysis.paired import Member, paired_effect, pairs_of
from engine.analysis.scatter import Scatter
from engine.records.conditions import Condition
from engine.records.effects import TemplateEffect


class Comparison(NamedTuple):
    """What was found, and what has to be said of it."""

    effect: TemplateEffect | None
    warnings: tuple[str, ...] = ()


def template_effect(
    curves: Sequence[Curve], collapses: Sequence[Collapse], scatter: Scatter | None = None
) -> Comparison:
    """Compare the curves with the most templates with those with the fewest; `collapses` are the curves', one each.
    Without two numbers of templates there is no effect; without a pair, words say why."""
    counts = {c.condition.templates for c in curves if c.condition.templates is not None and c.observations}
    if len(counts) < 2:
        return Comparison(None)
    fewest, most = min(counts), max(counts)
    members = [Member(_living(c, scatter), collapse.point) for c, collapse in zip(curves, collapses, strict=True)]
    pairs = pairs_of(members, lambda condition: condition.templates, _without_templates, (fewest, most))
    if not pairs:
        words = (
            f"the effect of templates is not identified: no curve with {most} templates has one with {fewest} beside "
            "it that agrees in everything else"
        )
        return Comparison(None, (words,))
    found = paired_effect(pairs)
    effect = TemplateEffect(**found._asdict(), templates=(fewest, most), num_pairs=len(pairs))
    return Comparison(effect)


def _living(curve: Curve, scatter: Scatter | None) -> Curve:
    """Dead runs say nothing of templates."""
    if scatter is None:
        return curve
    return curve._replace(observations=tuple(o for o in curve.observations if not scatter.is_dead(o)))


def _without_templates(condition: Condition) -> Condition:
    """A ceiling follows from the templates."""
    return msgspec.structs.replace(condition, templates=None, ceiling_frequency=None)
