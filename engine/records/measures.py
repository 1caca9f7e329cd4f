"""What is measured of a fact set's answers, each measure defined once: from a score to the state, to columns.

To add one that the scorer does not give yet: a field of `SetScore` (records/metrics.py), how it is worked out
(training/scoring.py), and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.records.metrics import SetScore, retention_of


class Measure(NamedTuple):
    name: str
    about: str
    of: Callable[[SetScore], float]
    is_kept: bool = True
    """Whether the state keeps it of every run: it is a column of runs then, and can be filtered and sorted by."""

    def column(self, fact_set: str) -> str:
        """The name of its column for a fact set; retention goes by the set's own name."""
        return fact_set if self is RETENTION else f"{fact_set}_{self.name}"


RETENTION = Measure("retention", "accuracy, rescaled so that chance is 0 and perfection 1", lambda s: s.retention)
LOGPROB = Measure("logprob", "mean natural log-probability of the right answer", lambda s: round(s.mean_logprob, 4))
RETENTION_NORM = Measure(
    "retention_norm",
    "retention by acc_norm: sums of log-probabilities divided by the answers' characters",
    lambda s: retention_of(s.correct_norm / s.num_questions, s.num_choices),
    is_kept=False,
)

MEASURES: tuple[Measure, ...] = (RETENTION, LOGPROB, RETENTION_NORM)
FURTHER_KEPT: tuple[Measure, ...] = tuple(one for one in MEASURES if one.is_kept and one is not RETENTION)


def measured(sets: dict[str, SetScore], measure: Measure) -> dict[str, float]:
    """The measure by fact set."""
    return {name: measure.of(score) for name, score in sets.items()}
