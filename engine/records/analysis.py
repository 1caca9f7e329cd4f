"""What an analysis says: `law.json`, and the documents of `kitui curves`, `kitui law` and `kitui predict`.

Names of fields are those of the contract of the command line. A frequency that is an F* is called `collapse_frequency`
in the program; in JSON it is `frequency` beside its condition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from engine.records.conditions import Condition, LawCondition
from engine.records.effects import Mechanism, TemplateEffect
from engine.records.intervals import Interval
from engine.records.plan import TruePoint
from engine.records.record import SCHEMA_VERSION, Record, read_record

Verdict = Literal["observed", "left_censored", "right_censored", "none_below_ceiling", "insufficient"]


class Score(Record, frozen=True, kw_only=True):
    """One run's retention at a dose."""

    seed: int
    retention: float
    correct: int | None = None
    """None for overall, which has no counts of its own."""
    num_questions: int | None = None
    prior_exposures: float | None = None
    """How often each prior fact was read."""
    infused_share: float | None = None
    """Of the tokens trained on, those of infused facts."""
    is_dead: bool = False
    """It learned nothing where its neighbours did, and counts for nothing."""


class DosePoint(Record, frozen=True, kw_only=True):
    """A retention curve at one frequency."""

    frequency: int | float
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
OTHER_SHARES = (0.8, 0.95)
"""Shown beside it: how much hangs on the share."""


class ShareFrequency(Record, frozen=True, kw_only=True):
    """The last frequency at which a share of the highest fitted retention is left; None if it is at the last dose."""

    share: float
    frequency: float | None


AS_GIVEN = "as the table gives it"
"""The reason of a collapse point that was found elsewhere."""


class CellResidual(Record, frozen=True, kw_only=True):
    """The seeds' mean at a dose less the fitted curve, in standard deviations of a single seed."""

    fact_set: str
    frequency: int | float
    residual: float


class FittedCurve(Record, frozen=True, kw_only=True):
    """The best curve and its pointwise 95 % band, at equal distances in log F from the first dose to the last."""

    first: float
    last: float
    retention: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def frequencies(self) -> tuple[float, ...]:
        num = len(self.retention)
        return tuple(self.first * (self.last / self.first) ** (i / (num - 1)) for i in range(num))

    def at(self, frequency: float) -> float:
        """Retention there, between the two nearest places; that of the nearer end outside."""
        num = len(self.retention)
        place = math.log(frequency / self.first) / math.log(self.last / self.first) * (num - 1)
        before = max(0, min(num - 2, math.floor(place)))
        share = max(0.0, min(1.0, place - before))
        return (1 - share) * self.retention[before] + share * self.retention[before + 1]


class CollapsePoint(Record, frozen=True, kw_only=True):
    """What one curve says of its collapse."""

    condition: Condition
    status: Verdict
    collapse_frequency: float | None = msgspec.field(name="frequency")
    """F*; given only where it is observed."""
    interval: Interval
    half_drop_frequency: float | None
    half_drop_interval: Interval = (None, None)
    best_frequency: float | None
    drop: float | None
    shape: str | None
    """The family of the best curve."""
    shape_weights: dict[str, float] = {}
    """Akaike's weight of each family that was fitted."""
    other_shares: tuple[ShareFrequency, ...] = ()
    p_value_no_collapse: float | None
    p_value_fit: float | None = None
    """Of a misfit as large as that of the best curve, where it is true: small, no shape fits."""
    residuals: tuple[CellResidual, ...] = ()
    fitted: FittedCurve | None = None
    """None where nothing was fitted, or a measure that is no share was."""
    acquisition_frequency: float | None
    acquisition_interval: Interval = (None, None)
    dead_runs: tuple[str, ...] = ()
    reason: str


class Parameter(Record, frozen=True, kw_only=True):
    """A coefficient of a law and its 95 % interval."""

    value: float
    interval: Interval
    identified: Interval | None = None
    """All values that fit equally well, where the points do not tell one from another."""


class Candidate(Record, frozen=True, kw_only=True):
    """A form of law that was fitted; the least AICc is the best."""

    form: str
    aicc: float | None
    delta_aicc: float | None = None
    """To the best one; None where the points are too few to rank forms."""


class LeaveOut(Record, frozen=True, kw_only=True):
    """The largest size (or budget) predicted without it."""

    condition: Condition
    predicted: float
    interval: Interval
    observed: float
    error_ln: float
    distance: float
    """How many times larger it is than the largest that was left."""
    naive_error_ln: float
    """The error of the baseline: F* of the largest that was left."""


class LawResidual(Record, frozen=True, kw_only=True):
    """An observed collapse point beside the law."""

    condition: Condition
    residual_ln: float
    """ln F* less that of the law."""


class FittedPoint(Record, frozen=True, kw_only=True):
    """One curve's evidence, as a law was fitted to it: relative log-likelihoods of ln F at equal distances from `first`
    to `last`, of all below and of all beyond."""

    num_params: float
    num_tokens: float
    log_frequency: float | None
    ceiling_frequency: float | None
    first: float
    last: float
    loglik: tuple[float, ...]
    below: float
    beyond: float


class FittedLaw(Record, frozen=True, kw_only=True):
    """What a prediction needs of a fit: coefficients on centred logarithms, the scatter of ln F*, and the points."""

    form: str
    beta: tuple[float, ...]
    sigma: float
    df: int
    loglik: float
    aicc: float | None
    centre: tuple[float, float]
    deficit: float = 0.0
    """Half of how far its AICc lies above that of the law that was chosen."""
    points: tuple[FittedPoint, ...]


class OtherLaw(Record, frozen=True, kw_only=True):
    """How another frequency moves with size, the half-drop or the acquisition frequency; or the reason why that is not
    known."""

    fit: FittedLaw | None
    equation: str | None = None
    parameters: dict[str, Parameter] = {}
    reason: str | None = None


class BandPoint(Record, frozen=True, kw_only=True):
    """The law and its prediction interval at one size, for drawing."""

    num_params: float
    collapse_frequency: float = msgspec.field(name="frequency")
    low: float | None
    high: float | None
    """None where the points do not bound it."""


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
    interval: Interval | None = None
    acquisition_frequency: float | None = None
    acquisition_interval: Interval | None = None
    extrapolation: float | None = None
    """How many times larger than the largest size fitted."""
    recommended_frequency: float | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    model: str | None = None
    """The preset of that size, where it is one."""


class LockedName(Record, frozen=True, kw_only=True):
    """What a locked prediction is known by."""

    id: str
    locked_at: str


class PredictionDocument(Prediction, frozen=True, kw_only=True):
    """`kitui predict --json`."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    simulated: bool
    locked: LockedName | None = None
    band: tuple[BandPoint, ...] = ()
    """The law and its interval over the sweep's sizes and up to this one, for drawing."""


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
    baselines: tuple[Candidate, ...] = ()
    """No dependence on size; `delta_aicc` is to the law that was chosen, below zero where the baseline is better."""
    residuals: tuple[LawResidual, ...] = ()
    leave_largest_out: LeaveOut | None
    leave_budget_out: LeaveOut | None = None
    half_drop: OtherLaw
    acquisition: OtherLaw
    warnings: tuple[str, ...]
    # Below: what the analysis keeps for the app and for `kitui predict`; `kitui law --json` leaves it out.
    next_size: Prediction | None
    band: tuple[BandPoint, ...]
    fit: FittedLaw
    other_fits: tuple[FittedLaw, ...] = ()
    """Forms that fit nearly as well: predictions reach as far as they do."""


KEPT_FOR_OURSELVES = ("next_size", "band", "fit", "other_fits")


class LockedScore(Record, frozen=True, kw_only=True):
    """A prediction that was locked before its size was trained, beside what was found there since."""

    id: str
    locked_at: str
    """UTC, ISO 8601."""
    sweep: str
    """Whose law made it."""
    condition: TargetCondition
    predicted: float
    interval: Interval
    baseline: float
    """F* of the largest size that was fitted then: what one would say without a law."""
    scored_in: str | None = None
    """The sweep that has this size; None while none has."""
    status: Verdict | None = None
    observed: float | None = None
    is_inside: bool | None = None
    """Whether F* lies in the interval; None while that is not known."""
    error_ln: float | None = None
    """ln(predicted / observed)."""
    baseline_error_ln: float | None = None
    warning: str | None = None
    """Why it is no true prediction, where it is none."""


class NamedSize(Record, frozen=True, kw_only=True):
    """A model size that has a name: of a preset, or of the sweep's own."""

    num_params: int
    name: str


def size_names(sizes: Sequence[NamedSize]) -> dict[int, str]:
    return {size.num_params: size.name for size in sizes}


class LawDocument(Record, frozen=True, kw_only=True):
    """`kitui law --json`."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    simulated: bool
    fact_set: str
    measure: str = "retention"
    """What fell, in words."""
    sizes: tuple[NamedSize, ...] = ()
    truth: tuple[TruePoint, ...] = ()
    """Of a simulated sweep, where overall retention truly falls."""
    collapse_points: tuple[CollapsePoint, ...]
    laws: tuple[SweepLaw, ...]
    template_effect: TemplateEffect | None
    mechanism: Mechanism | None = None
    """Where the sweep has both arms; `kitui compare` has that of two sweeps."""
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    reason: str | None
    locked: tuple[LockedScore, ...] = ()
    """Predictions of this sweep, and of others for its sizes; added where the document is served."""


class LawsDocument(Record, frozen=True, kw_only=True):
    """`kitui law --fact-set all --json`: the same sweep by each fact set."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    simulated: bool
    fact_sets: tuple[LawDocument, ...]


class CurvesDocument(Record, frozen=True, kw_only=True):
    """`kitui curves --json`."""

    schema_version: int = SCHEMA_VERSION
    sweep: str
    simulated: bool
    measure: str = "retention"
    """What the curves are of, in words."""
    sizes: tuple[NamedSize, ...] = ()
    curves: tuple[RetentionCurve, ...]


class AnalysisDocument(CurvesDocument, frozen=True, kw_only=True):
    """`law.json`: everything at once, with what it was made of and by which analysis."""

    inputs: str
    analysis_semantics: int = 0
    """See `digests.ANALYSIS_SEMANTICS`; 0 where it was written before there was this number."""
    num_unsettled: int = 0
    """Curves that are shown as fitted with the scatter of a moment before: they are to be fitted again."""
    law: LawDocument


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line on an analysis command's standard error: how many fits of how many are done."""

    done: int
    of: int


def read_analysis(path: Path) -> AnalysisDocument | None:
    """The analysis in a file, or None where there is none yet. StateError for a file that cannot be read."""
    return read_record(AnalysisDocument, path)


def laws_json(laws: LawsDocument) -> dict[str, object]:
    """`kitui law --fact-set all --json`."""
    content: dict[str, object] = msgspec.to_builtins(laws)
    return content | {"fact_sets": [law_json(law) for law in laws.fact_sets]}


def law_json(law: LawDocument) -> dict[str, object]:
    """`kitui law --json`: what the analysis keeps for itself is left out."""
    content: dict[str, object] = msgspec.to_builtins(law)
    rows = [msgspec.to_builtins(one) for one in law.laws]
    for row in rows:
        for of_other in (row["half_drop"], row["acquisition"]):
            del of_other["fit"]
    content["laws"] = [{key: value for key, value in row.items() if key not in KEPT_FOR_OURSELVES} for row in rows]
    return content
