"""The collapse points of retention curves: F*, its interval, the evidence that there is a collapse, and a verdict.

F* is the last frequency at which the fitted curve is at least 90 % of its maximum over the tested positive doses. A
verdict other than `observed` never carries a frequency: absence of evidence is not censoring, and a model that learned
nothing says nothing about F*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

from engine.analysis.curves import Curve
from engine.analysis.fitted_curve import fitted_curve
from engine.analysis.fitting import CLIFF, Fits, fit
from engine.analysis.gate import DosePart, GateResult, collapse_test
from engine.analysis.goodness import goodness_of_fit
from engine.analysis.law_points import Profile
from engine.analysis.likelihood import Array, Part, Tables, tabulate
from engine.analysis.profiles import Crossing, Reading, acquisition_readings, collapse_readings, widened
from engine.analysis.scatter import Scatter
from engine.analysis.shapes import SHAPES
from engine.records.analysis import (
    COLLAPSE_SHARE,
    HALF_SHARE,
    OTHER_SHARES,
    CellResidual,
    CollapsePoint,
    FittedCurve,
    ShareFrequency,
    Verdict,
)
from engine.spec.sweep import MIN_DOSES

SIGNIFICANCE = 0.05
SMALLEST_DROP = 1 - COLLAPSE_SHARE
MAX_ERROR_OF_LEARNED = 3.0  # the highest level lies so many standard errors above chance
NEAR_CEILING = 0.95
_UNKNOWN_RHO = 0.01
"""Of a set whose runs never share a cell with another's: nobody knows it, and none would claim too much."""


class Collapse(NamedTuple):
    """What one curve says: its collapse point as it is shown, and the evidence that laws are fitted to."""

    point: CollapsePoint
    reading: Reading | None = None
    """None where retention nowhere rose clearly above chance, or nothing can be said."""
    half_drop: Reading | None = None
    acquisition: Reading | None = None
    given: Profile | None = None
    """The evidence of a collapse point that was found elsewhere."""

    @property
    def profile(self) -> Profile | None:
        """What it says to a law of F*: nothing, where nothing was learned."""
        return self.reading.profile if self.reading is not None else self.given


def collapses_of(curves: Sequence[Curve], scatter: Scatter, *, target_retention: float = 0.8) -> list[Collapse]:
    """Analyse curves with their sweep's pooled scatter between seeds. They are fitted side by side."""
    found: dict[int, Collapse] = {}
    alike: dict[int, list[_Prepared]] = defaultdict(list)
    for index, curve in enumerate(curves):
        prepared = _prepared(index, curve, scatter)
        if isinstance(prepared, _Prepared):
            alike[len(prepared.parts)].append(prepared)
        else:
            found[index] = prepared
    for prepared_curves in alike.values():
        for one, collapse in zip(prepared_curves, _fitted(prepared_curves, scatter, target_retention), strict=True):
            found[one.place] = collapse
    return [found[index] for index in range(len(curves))]


class _Prepared(NamedTuple):
    """One curve that can be fitted: its parts' observations, and what was tested before any fit."""

    place: int
    curve: Curve
    doses: Array
    parts: list[Part]
    by_dose: list[list[DosePart]]
    dispersion: float
    test: GateResult


def _prepared(index: int, curve: Curve, scatter: Scatter) -> _Prepared | Collapse:
    """The curve made ready, or why it says nothing."""
    living = [o for o in curve.observations if o.frequency > 0 and not scatter.is_dead(o)]
    doses = np.log2(sorted({float(o.frequency) for o in living}))
    if len(doses) < MIN_DOSES:
        return _insufficient(curve, scatter, f"{len(doses)} of at least {MIN_DOSES} positive frequencies have results")
    # One seed is the only one a dose may have: the spread is then borrowed from the rest of the sweep.
    if scatter.df == 0:
        reason = "no cell of the sweep has two seeds: the scatter between seeds is unknown"
        return _insufficient(curve, scatter, reason)
    parts = [_part(c, scatter) for c in _parts(curve)]
    by_dose = [[_dose_part(part, dose) for part in parts] for dose in doses]
    if any(len(cell.retentions) == 0 for dose in by_dose for cell in dose):
        return _insufficient(curve, scatter, "prior and infused facts were not asked at the same frequencies")
    dispersion = scatter.dispersion if len(parts) > 1 else 1.0
    test = collapse_test(by_dose, dispersion=dispersion, residual_df=scatter.df)
    means = np.array([np.mean([p.mean for p in dose]) for dose in by_dose])
    errors = np.array([np.sqrt(dispersion * sum(p.variance_of_mean() for p in dose)) / len(dose) for dose in by_dose])
    if not (means > MAX_ERROR_OF_LEARNED * errors).any():
        reason = (
            "nothing was learned: no frequency lifts retention clearly above chance (more tokens, higher frequencies "
            "or larger sizes may)"
        )
        return _insufficient(curve, scatter, reason, test.p_value)
    return _Prepared(index, curve, doses, parts, by_dose, dispersion, test)


def _fitted(prepared: list[_Prepared], scatter: Scatter, target: float) -> list[Collapse]:
    """Fit curves with equally many parts, and read off what is asked."""
    parts_CP = [one.parts for one in prepared]
    tables = tabulate(parts_CP, [one.doses for one in prepared])
    fits = [fit(tables, parts_CP, shape) for shape in SHAPES]
    dispersions = np.array([one.dispersion for one in prepared])
    thresholds = np.full(len(prepared), _drop_at(0.975, scatter.df))
    shares = (COLLAPSE_SHARE, HALF_SHARE)
    collapses, halves = collapse_readings(tables, fits, shares, dispersions, thresholds)
    collapses, halves = (
        [widened(reading, _shift_error(one.curve, scatter)) for one, reading in zip(prepared, found, strict=True)]
        for found in (collapses, halves)
    )
    acquisitions = _acquisitions(prepared, tables, fits, target, thresholds)
    return [_collapse(one, collapses[c], halves[c], acquisitions[c], scatter) for c, one in enumerate(prepared)]


def _shift_error(curve: Curve, scatter: Scatter) -> float:
    """The standard error of log2 F* that the seeds' shift leaves in so many seeds' mean."""
    shifts = [scatter.shift_octaves.get(c.fact_set, 0.0) for c in _parts(curve)]
    num_seeds = len({o.seed for o in curve.observations if o.frequency > 0})
    return max(shifts) / float(np.sqrt(max(num_seeds, 1)))


def _acquisitions(
    prepared: list[_Prepared], tables: Tables, fits: list[Fits], target: float, thresholds: Array
) -> list[Reading | None]:
    """The least frequency at which infused retention reaches the target; none on curves without it."""
    found: list[Reading | None] = [None] * len(prepared)
    names = [[c.fact_set for c in _parts(one.curve)] for one in prepared]
    for p in range(len(names[0])):
        rows = np.array([c for c, of_parts in enumerate(names) if of_parts[p] == "infused"], dtype=np.intp)
        if len(rows):
            alone = Tables(*(table[rows] for table in tables.part(p)))
            own = [
                Fits(
                    f.shape,
                    f.theta[rows, p : p + 1],
                    alone.log_likelihood(
                        np.arange(len(rows)), f.shape.levels(f.theta[rows, p : p + 1], alone.doses_CJ[:, None, :])
                    ),
                )
                for f in fits
            ]
            for row, reading in zip(rows, acquisition_readings(alone, own, target, thresholds[rows]), strict=True):
                found[row] = reading
    return found


def _collapse(
    one: _Prepared,
    reading: Reading,
    half: Reading,
    acquisition: Reading | None,
    scatter: Scatter,
) -> Collapse:
    at_doses = reading.fit.at(one.doses)
    best = int(np.argmax(at_doses))
    top = float(at_doses[best])
    drop = float(1 - at_doses[-1] / top) if top > 0 else 0.0
    # That there is a fall says nothing of its size: one by 10 % has to be likely enough that none so large is refused.
    is_within = reading.best_log2 is not None and reading.profile.beyond < -_drop_at(0.975, scatter.df)
    found = one.test.p_value < SIGNIFICANCE and drop >= SMALLEST_DROP and is_within
    status, interval, reason = _verdict(one, reading, found=found, best=best, drop=drop, df=scatter.df)
    acquired = acquisition.best_log2 if acquisition else None
    fit = goodness_of_fit(
        reading.fit,
        one.doses,
        one.by_dose,
        shift_octaves=np.array([scatter.shift_octaves.get(c.fact_set, 0.0) for c in _parts(one.curve)]),
        residual_df=scatter.df,
    )
    point = CollapsePoint(
        condition=one.curve.condition,
        status=status,
        collapse_frequency=_frequency(reading.best_log2) if status == "observed" else None,
        interval=interval,
        half_drop_frequency=_frequency(half.best_log2) if found else None,
        half_drop_interval=half.interval if found and half.best_log2 is not None else (None, None),
        best_frequency=float(f"{2 ** one.doses[best]:.12g}"),
        drop=drop,
        shape=reading.shape,
        shape_weights={name: round(weight, 3) for name, weight in reading.weights.items()},
        other_shares=_other_shares(reading, one.doses) if status == "observed" else (),
        p_value_no_collapse=one.test.p_value,
        p_value_fit=fit.p_value,
        residuals=_residuals(one, fit.residuals),
        fitted=_fitted_curve(one, reading, scatter),
        acquisition_frequency=_frequency(acquired),
        acquisition_interval=acquisition.interval if acquisition else (None, None),
        dead_runs=_dead_runs(one.curve, scatter),
        reason=reason,
    )
    return Collapse(point, reading, half, acquisition)


def _verdict(
    one: _Prepared, reading: Reading, *, found: bool, best: int, drop: float, df: int
) -> tuple[Verdict, tuple[float | None, float | None], str]:
    """(status, interval, reason in words), by the rules of the methods, in their order."""
    last, p = float(2 ** one.doses[-1]), one.test.p_value
    low, high = reading.interval
    # A curve that is highest at the first dose and has fallen at the second shows no dose from which on it falls.
    begins_before = best == 0 and reading.best_log2 is not None and reading.best_log2 < one.doses[1]
    if found and low is not None and high is None and not begins_before:
        reason = f"retention falls by {drop:.0%} (p = {p:.3f}), but seeds shift it so far that F* has no upper bound"
        return "insufficient", (None, None), f"{reason}: add seeds, or higher frequencies"
    if found and low is not None and not begins_before:
        return "observed", (low, high), f"retention falls by {drop:.0%} from its maximum (p = {p:.3f})"
    if found:
        reason = (
            f"retention falls by {drop:.0%} (p = {p:.3f}), maybe from the lowest frequency tested on: add lower "
            "frequencies"
        )
        return "left_censored", (None, high), reason
    # The upper 95 % bound of the drop is under 10 % where the likelihood refuses an F* at the last dose, one-sided.
    if reading.best_log2 is None and reading.profile.loglik[-1] < reading.profile.beyond - _drop_at(0.95, df):
        ceiling = one.curve.condition.ceiling_frequency
        if ceiling is not None and last >= NEAR_CEILING * ceiling:
            reason = f"retention still stands at the ceiling of {ceiling:,.0f}"
            return "none_below_ceiling", (last, None), reason
        reason = f"retention still stands at the last frequency, {last:,.0f}: add higher ones"
        return "right_censored", (last, None), reason
    if p < SIGNIFICANCE:
        reason = f"retention falls (p = {p:.3f}), but not plainly by 10 % or more, for good: add seeds, or frequencies"
        return "insufficient", (None, None), reason
    reason = f"neither a collapse (p = {p:.2f}) nor its absence is shown: add seeds, or frequencies near {last:,.0f}"
    return "insufficient", (None, None), reason


def _drop_at(level: float, df: int) -> float:
    """The drop in log-likelihood at a one-sided bound of this level: few degrees of freedom behind the scatter widen it
    as they widen a t interval."""
    return 0.5 * float(student_t.ppf(level, df)) ** 2


def _part(curve: Curve, scatter: Scatter) -> Part:
    observations = [o for o in curve.observations if o.frequency > 0]
    is_counted = _is_counted(curve)
    values = [(o.correct, o.num_questions, o.num_choices) if is_counted else (o.retention, 1, 0) for o in observations]
    columns = np.array(values, dtype=float).reshape(-1, 3).T
    # Values of a measure that is no share are fitted as shares of its largest: where they fall does not depend on it.
    scale = 1.0 if is_counted else max(1.0, float(columns[0].max(initial=0.0)))
    return Part(
        x_N=np.log2([float(o.frequency) for o in observations]),
        values_N=columns[0] / scale,
        questions_N=columns[1],
        choices_N=columns[2],
        weights_N=np.array([scatter.weight(o) for o in observations]),
        rho=scatter.rho.get(curve.fact_set, _UNKNOWN_RHO),
        sd=max(scatter.sd[curve.fact_set] / scale, 1e-6),
    )


def _is_counted(curve: Curve) -> bool:
    positive = (o for o in curve.observations if o.frequency > 0)
    return all(o.correct is not None and o.num_questions and o.num_choices for o in positive)


def _dose_part(part: Part, dose: float) -> DosePart:
    """What stands at one dose, dead runs left out: they are no part of the evidence for a fall."""
    here = part.at(dose)
    living = here.weights_N >= 0.5
    return DosePart(here.retentions_N[living], here.questions_N[living], here.choices_N[living], part.rho, part.sd)


def _other_shares(reading: Reading, doses: Array) -> tuple[ShareFrequency, ...]:
    """The last frequencies at which other shares of the maximum are left: how much hangs on the share."""
    found = []
    for share in OTHER_SHARES:
        place = float(Crossing(np.full(1, share)).at(reading.fit.shape, reading.fit.theta[None], doses[None])[0])
        if reading.shape == CLIFF and not np.isnan(place):  # anywhere in the gap
            gap = min(int(np.searchsorted(doses, place, side="right")) - 1, len(doses) - 2)
            place = float(doses[gap] + doses[gap + 1]) / 2
        found.append(ShareFrequency(share=share, frequency=None if np.isnan(place) else float(2**place)))
    return tuple(found)


def _parts(curve: Curve) -> tuple[Curve, ...]:
    return curve.parts or (curve,)


def _fitted_curve(one: _Prepared, reading: Reading, scatter: Scatter) -> FittedCurve | None:
    """None where the parts were fitted as shares of their largest values: their mean is none of the curve's own."""
    if not all(_is_counted(c) or max(o.retention for o in c.observations) <= 1 for c in _parts(one.curve)):
        return None
    return fitted_curve(reading.fit, one.doses, one.by_dose, dispersion=one.dispersion, residual_df=scatter.df)


def _residuals(one: _Prepared, residuals_PJ: Array) -> tuple[CellResidual, ...]:
    return tuple(
        CellResidual(fact_set=part.fact_set, frequency=float(f"{2**x:.12g}"), residual=round(float(residual), 2))
        for part, of_part in zip(_parts(one.curve), residuals_PJ, strict=True)
        for x, residual in zip(one.doses, of_part, strict=True)
    )


def _dead_runs(curve: Curve, scatter: Scatter) -> tuple[str, ...]:
    dead = sorted({(o.frequency, o.seed) for o in curve.observations if scatter.is_dead(o)})
    return tuple(f"F={frequency:g} seed={seed}" for frequency, seed in dead)


def _frequency(log2: float | None) -> float | None:
    return None if log2 is None else float(2**log2)


def _insufficient(curve: Curve, scatter: Scatter, reason: str, p_value: float | None = None) -> Collapse:
    point = CollapsePoint(
        condition=curve.condition,
        status="insufficient",
        collapse_frequency=None,
        interval=(None, None),
        half_drop_frequency=None,
        best_frequency=None,
        drop=None,
        shape=None,
        p_value_no_collapse=p_value,
        acquisition_frequency=None,
        dead_runs=_dead_runs(curve, scatter),
        reason=reason,
    )
    return Collapse(point)
