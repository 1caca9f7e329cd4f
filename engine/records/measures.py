"""What is measured of a fact set's answers, each measure defined once: from a score to the state, to columns.

To add one that the scorer does not give yet: a field of `SetScore` (records/metrics.py), how it is worked out
(training/scoring.py), and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.records.metrics import SetScore


class Measure(NamedTuple):
    """A number that says how a fact set was answered."""

    name: str
    of: Callable[[SetScore], float | None]
    """None for a score of before it was measured: a new field of `SetScore` has a default, for old ones to be read."""

    def column(self, fact_set: str) -> str:
        """The name of its column for a fact set; retention goes by the set's own name."""
        return fact_set if self is RETENTION else f"{fact_set}_{self.name}"


RETENTION = Measure("retention", lambda s: s.retention)
LOGPROB = Measure("logprob", lambda s: round(s.mean_logprob, 4))

FURTHER: tuple[Measure, ...] = (LOGPROB,)
"""What the state keeps of every run beside its retention: columns of runs, to filter and sort by."""


def measured(sets: dict[str, SetScore], measure: Measure) -> dict[str, float]:
    """The measure by fact set."""
    return {name: value for name, score in sets.items() if (value := measure.of(score)) is not None}
