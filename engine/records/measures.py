"""What is measured of a fact set's answers, each measure defined once: from a score to the state, to columns.

To add one that the scorer does not give yet: a field of `SetScore` (records/metrics.py), how it is worked out
(training/scoring.py), and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.records.metrics import SetScore
from engine.spec.fact_sets import UNSEEN


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


def analysed_value(measure: Measure, sets: dict[str, SetScore], fact_set: str) -> float | None:
    """What an analysis takes of a fact set's score. A log-probability drifts with all that a model learns: that of
    facts that were never written is taken off it. None where that is not known, and of the unseen facts themselves."""
    if measure is not LOGPROB:
        return measure.of(sets[fact_set])
    if UNSEEN.name not in sets or fact_set == UNSEEN.name:
        return None
    return sets[fact_set].mean_logprob - sets[UNSEEN.name].mean_logprob


ANALYSED: dict[str, str] = {
    RETENTION.name: "retention",
    LOGPROB.name: "log-probability of the right answer less that of unseen facts, in nats",
}
"""The measures that an analysis can be of, in words."""


class Measured(NamedTuple):
    """What an analysis is of: a measure, as the mean over so many of a run's last scorings."""

    measure: str = RETENTION.name
    num_checkpoints: int = 1

    @property
    def is_usual(self) -> bool:
        """The retention at the end: the one that counts of right answers are known of."""
        return self == Measured()

    def words(self) -> str:
        late = f", mean of the last {self.num_checkpoints} scorings" if self.num_checkpoints > 1 else ""
        return ANALYSED[self.measure] + late


USUAL = Measured()
