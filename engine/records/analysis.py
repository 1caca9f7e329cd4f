"""What an analysis says: `law.json`, and the documents of `kitui curves`, `kitui law` and `kitui predict`.

Names of fields are those of the contract of the command line. A frequency that is an F* is called `collapse_frequency`
in the program; in JSON it is `frequency` beside its condition.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from engine.records.conditions import Condition, LawCondition
from engine.records.record import SCHEMA_VERSION, Record, read_record

Verdict = Literal["observed", "left_censored", "right_censored", "none_below_ceiling", "insufficient"]
Interval = tuple[float | None, float | None]
"""95 %; an end may be open."""
ClosedInterval = tuple[float, float]


class Score(Record, frozen=True, kw_only=True):
    """One run's retention at a dose."""

    seed: int
    retention: float
    correct: int | None = None
    """None for overall, which has no counts of its own."""
    num_questions: int | None = None
    prior_exposures: float | None = None


class DosePoint(Record, frozen=True, kw_only=True):
    """A retention curve at one frequency."""

    frequency: int
    values: tuple[Score, ...] = ()
    mean: float | None
    sd: float | None
    """Sample standard deviation over seeds; None with fewer than two."""
    n: int
    missing: int = 0
    """Planned runs without a result."""


class RetentionCurve(Record, frozen=True, kw_only=True):
    """One condition and fact set, dose by dose."""

    condition: Condition
    fact_set: str
    points: tuple[DosePoint, ...]


COLLAPSE_SHARE = 0.9
"""Of the highest fitted retention: F* is the last frequency at which so much of it is left."""
HALF_SHARE = 0.5
"""The same, for the half-drop."""


class CollapsePoint(Record, frozen=True, kw_only=True):
    """What one curve says of its collapse."""

    condition: Condition
    status: Verdict
    collapse_frequency: float | None = msgspec.field(name="frequency")
    """F*; given only where it is observed."""
    interval: Interval
    half_drop_frequency: float | None
    best_frequency: float | None
    drop: float | None
    shape: str | None
    p_value_no_collapse: float | None
    acquisition_frequency: float | None
    acquisition_interval: Interval = (None, None)
    dead_runs: tuple[str, ...] = ()
    reason: str


class Parameter(Record, frozen=True, kw_only=True):
    """A coefficient of a law and its 95 % interval."""

    value: float
    interval: ClosedInterval


class Candidate(Record, frozen=True, kw_only=True):
    """A form of law that was fitted; the least AICc is the best."""

    form: str
    aicc: float | None
    delta_aicc: float | None = None
    """To the best one; None where the points are too few to rank forms."""


class LeaveOut(Record, frozen=True, kw_only=True):
    """The largest size predicted without it."""

    condition: Condition
    predicted: float
    interval: ClosedInterval
    observed: float
    error_ln: float


class FittedLaw(Record, frozen=True, kw_only=True):
    """What a prediction needs of a fit: coefficients on centred logarithms, their covariance, the scatter of ln F*."""

    form: str
    beta: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    sigma: float
    df: int
    loglik: float
    aicc: float | None
    centre: tuple[float, float]
    num_points: int
    num_censored: int
    largest_params: float


class AcquisitionLaw(Record, frozen=True, kw_only=True):
    """How the acquisition frequency moves with size, or the reason why that is not known."""

    fit: FittedLaw | None
    equation: str | None = None
    reason: str | None = None


class BandPoint(Record, frozen=True, kw_only=True):
    """The law and its prediction interval at one size, for drawing."""

    num_params: float
    collapse_frequency: float = msgspec.field(name="frequency")
    low: float
    high: float


class TargetCondition(LawCondition, frozen=True, kw_only=True):
    """What a prediction is made for. None where unknown."""

    num_params: float
    num_params_total: int | None = None
    num_tokens: int | float | None
    ceiling_frequency: int | float | None = None


class Prediction(Record, frozen=True, kw_only=True):
    """F* and the window below it at one size and budget, or the reason why there is none."""

    condition: TargetCondition
    collapse_frequency: float | None = msgspec.field(name="frequency", default=None)
    interval: ClosedInterval | None = None
    acquisition_frequency: float | None = None
    acquisition_interval: ClosedInterval | None = None
    extrapolation: float | None = None
    """How many times larger than the largest size fitted."""
    recommended_frequency: float | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    model: str | None = None
    """The preset of that size, where it is one."""


class PredictionDocument(Prediction, frozen=True, kw_only=True):
    """`kitui predict --json`."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    simulated: bool


class SweepLaw(Record, frozen=True, kw_only=True):
    """The law of one condition, with its check and what is drawn of it."""

    condition: LawCondition
    form: str
    parameters: dict[str, Parameter]
    aicc: float | None
    sigma_log: float
    num_points: int
    num_censored: int
    equation: str
    candidates: tuple[Candidate, ...]
    leave_largest_out: LeaveOut | None
    warnings: tuple[str, ...]
    # Below: what the analysis keeps for the app and for `kitui predict`; `kitui law --json` leaves it out.
    next_size: Prediction | None
    band: tuple[BandPoint, ...]
    fit: FittedLaw
    acquisition: AcquisitionLaw


KEPT_FOR_OURSELVES = ("next_size", "band", "fit", "acquisition")


class TemplateEffect(Record, frozen=True, kw_only=True):
    """R with the most templates less R with the fewest, its 95 % interval, and p by permutation."""

    difference: float
    interval: ClosedInterval
    p: float


class LawDocument(Record, frozen=True, kw_only=True):
    """`kitui law --json`."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    simulated: bool
    fact_set: str
    collapse_points: tuple[CollapsePoint, ...]
    laws: tuple[SweepLaw, ...]
    template_effect: TemplateEffect | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    reason: str | None


class CurvesDocument(Record, frozen=True, kw_only=True):
    """`kitui curves --json`."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    simulated: bool
    curves: tuple[RetentionCurve, ...]


class AnalysisDocument(CurvesDocument, frozen=True, kw_only=True):
    """`law.json`: everything at once, with what it was made of and by which analysis."""

    inputs: str
    analysis_semantics: int = 0
    """See `digests.ANALYSIS_SEMANTICS`; 0 where it was written before there was this number."""
    law: LawDocument


def read_analysis(path: Path) -> AnalysisDocument | None:
    """The analysis in a file, or None where there is none yet. StateError for a file that cannot be read."""
    return read_record(AnalysisDocument, path)


def law_json(law: LawDocument) -> dict[str, object]:
    """`kitui law --json`: what the analysis keeps for itself is left out."""
    content: dict[str, object] = msgspec.to_builtins(law)
    rows = [msgspec.to_builtins(one) for one in law.laws]
    content["laws"] = [{key: value for key, value in row.items() if key not in KEPT_FOR_OURSELVES} for row in rows]
    return content
