"""The sets of facts that are told apart, each defined once.

To add one: an entry here, how its questions are made (corpus/facts.py), and, where its facts are a part of the
partition, how they are drawn (spec/facts.py).
"""

from __future__ import annotations

from typing import NamedTuple


class FactSet(NamedTuple):
    """One set, or the mean over some (`overall`)."""

    name: str
    label: str
    """At the head of a narrow column."""
    about: str
    is_drawn: bool = True
    """Whether the partition has facts of its own for it."""
    is_asked: bool = True
    """Whether questions are asked about it."""
    in_overall: bool = False
    """Whether its retention enters the mean that is called `overall`."""
    in_table: bool = True
    """Whether the table of runs has room for it."""


OVERALL = FactSet("overall", "R", "the plain mean of infused and prior retention", is_drawn=False, is_asked=False)
INFUSED = FactSet("infused", "infus", "facts written F times", in_overall=True)
PRIOR = FactSet("prior", "prior", "facts that lie in the background: what collapses", in_overall=True)
UNSEEN = FactSet("unseen", "unsee", "facts never written: the control", in_table=False)
VERBATIM = FactSet(
    "verbatim", "verb.", "infused facts, asked in the statement they are trained on", is_drawn=False, in_table=False
)

FACT_SETS: tuple[FactSet, ...] = (OVERALL, PRIOR, INFUSED, VERBATIM, UNSEEN)
"""In the order in which they are shown; the first is the default."""
NAMES: tuple[str, ...] = tuple(one.name for one in FACT_SETS)
_AS_SCORED = (INFUSED, PRIOR, UNSEEN, VERBATIM)
ASKED: tuple[str, ...] = tuple(one.name for one in _AS_SCORED if one.is_asked)
"""In the order in which they are scored."""
DRAWN: tuple[str, ...] = tuple(one.name for one in _AS_SCORED if one.is_drawn)
PARTS_OF_OVERALL: tuple[str, ...] = tuple(one.name for one in FACT_SETS if one.in_overall)
