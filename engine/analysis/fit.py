"""The analysis command: a sweep's results in, its `law.json` out.

    python -m engine.analysis.fit SWEEP_FOLDER [--fact-set SET]      prints the analysis; writes law.json for `overall`
    python -m engine.analysis.fit SWEEP_FOLDER --follow PID          as long as that parent lives: writes law.json
                                                                     whenever a run ends

What is shown as "the law" anywhere is this document: `curves`, and `law` in the form of `kitui law --json`.
"""

from __future__ import annotations

import argparse
import fcntl
import math
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, NamedTuple

import orjson

from engine.analysis.checks import UNSEEN_SIGNIFICANCE, template_effect, unseen_check
from engine.analysis.collapse import Collapse, collapse_of
from engine.analysis.curves import Curve, Results, gather, sweep_observations
from engine.analysis.imports import read_imported
from engine.analysis.law import Law, LawResult, fit_law, predict
from engine.analysis.law_points import LawPoint
from engine.analysis.predictions import equation, finite, law_record, prediction_at
from engine.analysis.scatter import Scatter, pooled_scatter
from engine.errors import FitError, KituiError, StateError, is_no_room
from engine.records.analysis import (
    AcquisitionLaw,
    AnalysisDocument,
    BandPoint,
    Candidate,
    DosePoint,
    LawDocument,
    LeaveOut,
    Parameter,
    Prediction,
    RetentionCurve,
    Score,
    SweepLaw,
)
from engine.records.conditions import Condition, LawCondition
from engine.records.digests import ANALYSIS_SEMANTICS, results_digest
from engine.records.plan import Plan, read_plan
from engine.records.record import encoded, write_record
from engine.records.workspace import SweepFolder, Workspace
from engine.spec import fact_sets
from engine.spec.models import next_size_up

_POLL_S = 0.3


class _Key(NamedTuple):
    """All that one curve's analysis depends on."""

    condition: Condition
    fact_set: str
    values: tuple[object, ...]
    scatter: tuple[object, ...]
    target: float


class Analysis:
    """Analyses one sweep, and again when results have come in; curves that did not change are not fitted again."""

    def __init__(self, folder: SweepFolder, workspace: Workspace) -> None:
        self.folder, self.workspace = folder, workspace
        self._results = Results(workspace)
        self._collapses: dict[_Key, Collapse] = {}

    def document(self, fact_set: str = "overall", target_retention: float | None = None) -> AnalysisDocument:
        """The whole analysis. StateError where there is no such sweep."""
        plan = read_plan(self.folder.plan)
        if plan is None:
            raise StateError("there is no sweep here.", where=str(self.folder.root))
        inputs = results_digest(plan, self.folder, self.workspace)
        if self.folder.results.exists():
            curves = gather(read_imported(self.folder))
        else:
            curves = gather(*sweep_observations(plan, self._results))
        scatter = pooled_scatter(curves)
        chosen = [c for c in curves if c.fact_set == fact_set]
        target = plan.analysis.target_retention if target_retention is None else target_retention
        collapses = [self._collapse(curve, scatter, target) for curve in chosen]
        return AnalysisDocument(
            sweep=plan.sweep,
            simulated=plan.simulated,
            inputs=inputs,
            analysis_semantics=ANALYSIS_SEMANTICS,
            curves=tuple(_curve_record(curve) for curve in curves),
            law=_law_document(plan, fact_set, chosen, collapses, self._words(plan)),
        )

    def _collapse(self, curve: Curve, scatter: Scatter, target: float) -> Collapse:
        values = tuple((p.fact_set, tuple(sorted(o[1:] for o in p.observations))) for p in (curve, *curve.parts))
        spread = (scatter.dispersion, tuple(scatter.rho.items()), tuple(scatter.sd.items()), scatter.df)
        key = _Key(curve.condition, curve.fact_set, values, spread, target)
        if key not in self._collapses:
            for old in [k for k in self._collapses if k[:2] == key[:2]]:
                del self._collapses[old]
            self._collapses[key] = collapse_of(curve, scatter, target_retention=target)
        return self._collapses[key]

    def _words(self, plan: Plan) -> tuple[list[str], list[str]]:
        """Notes and warnings about what was read: results that are damaged, and unseen facts, at chance or not."""
        notes, warnings = self._unseen_words(plan)
        if faults := list(self._results.faults.values()):
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            warnings.append(f"left out, until kitui verify {plan.sweep} --mend: {faults[0]}{more}")
        return notes, warnings

    def _unseen_words(self, plan: Plan) -> tuple[list[str], list[str]]:
        """Notes and warnings about unseen facts: at chance, or answered better than that."""
        results = (self._results.of(plan, cell.run_id) for cell in plan.cells)
        outcomes = [r.questions["unseen"] for r in results if r is not None and "unseen" in r.questions]
        check = unseen_check(outcomes)
        if check is None:
            return [], []
        words = f"unseen facts: {check.accuracy:.1%} right over {check.num_runs} runs, p = {check.p_value:.3f}"
        if check.p_value < UNSEEN_SIGNIFICANCE:
            return [], [f"answers leak: {words}; names may give them away, and retention is then too high"]
        return [f"{words}: not above chance at the 1 % level"], []


def _curve_record(curve: Curve) -> RetentionCurve:
    points = tuple(_dose_point(curve, frequency) for frequency in curve.frequencies)
    return RetentionCurve(condition=curve.condition, fact_set=curve.fact_set, points=points)


def _dose_point(curve: Curve, frequency: int) -> DosePoint:
    observations = curve.at(frequency)
    retentions = [o.retention for o in observations]
    num = len(observations)
    mean = sum(retentions) / num if observations else None
    squares = sum((r - mean) ** 2 for r in retentions) if mean is not None else 0.0
    return DosePoint(
        frequency=frequency,
        values=tuple(
            Score(
                seed=o.seed,
                retention=o.retention,
                correct=o.correct,
                num_questions=o.num_questions,
                prior_exposures=o.prior_exposures,
            )
            for o in observations
        ),
        mean=mean,
        sd=math.sqrt(squares / (num - 1)) if num > 1 else None,
        n=num,
        missing=curve.missing.get(frequency, 0),
    )


def _law_document(
    plan: Plan, fact_set: str, curves: list[Curve], collapses: list[Collapse], words: tuple[list[str], list[str]]
) -> LawDocument:
    by_condition: dict[LawCondition, list[Collapse]] = {}
    for collapse in collapses:
        by_condition.setdefault(collapse.point.condition.law_condition(), []).append(collapse)
    laws, reasons = [], []
    for condition, members in by_condition.items():
        result = fit_law(_law_points(members), declared_form=plan.analysis.law_form)
        if result.law is None:
            reasons.append(_with_condition(result.reason or "", condition, len(by_condition) > 1))
            continue
        laws.append(_sweep_law(result, result.law, condition, members))
    notes, warnings = words
    points = tuple(collapse.point for collapse in collapses)
    if any(
        p.condition.mixture == "displace" and p.condition.fill == "infused" and p.status == "observed" for p in points
    ):
        warnings.append(
            "infused text displaces background, so that prior facts are read less often as F grows: run the same sweep "
            'with mixture.fill = "neutral" to see how much of the fall is that dilution'
        )
    return LawDocument(
        sweep=plan.sweep,
        simulated=plan.simulated,
        fact_set=fact_set,
        collapse_points=points,
        laws=tuple(laws),
        template_effect=template_effect(curves),
        warnings=tuple(warnings),
        notes=tuple(notes),
        reason=None if laws else "; ".join(reasons) or "there are no results yet",
    )


def _law_points(collapses: Iterable[Collapse]) -> list[LawPoint]:
    found = []
    for collapse in collapses:
        point, profile = collapse.point, collapse.profile
        if collapse.learned and profile is not None:
            found.append(
                LawPoint(
                    num_params=point.condition.num_params,
                    num_tokens=point.condition.num_tokens,
                    profile=profile.at_most() if point.status == "left_censored" else profile,
                    log_frequency=math.log(point.collapse_frequency) if point.collapse_frequency else None,
                    ceiling=point.condition.ceiling_frequency,
                )
            )
    return found


def _acquisition_points(collapses: Iterable[Collapse]) -> list[LawPoint]:
    """Acquisition frequencies; one that the first tested dose reaches already is censored from above."""
    found = []
    for collapse in collapses:
        point, profile = collapse.point, collapse.acquisition_profile
        if profile is not None:
            is_inside = point.acquisition_frequency is not None and profile.below < -1e-9
            found.append(
                LawPoint(
                    num_params=point.condition.num_params,
                    num_tokens=point.condition.num_tokens,
                    profile=profile,
                    log_frequency=math.log(point.acquisition_frequency or 1.0) if is_inside else None,
                    ceiling=None,
                )
            )
    return found


def _sweep_law(result: LawResult, law: Law, condition: LawCondition, members: list[Collapse]) -> SweepLaw:
    best = min(c.aicc for c in result.candidates)
    ranked = all(math.isfinite(c.aicc) for c in result.candidates) and law.num_points >= 6
    acquisition = fit_law(_acquisition_points(members), what="acquisition frequency", leave_largest_out=False)
    conditions = [member.point.condition for member in members]
    return SweepLaw(
        condition=condition,
        form=law.form.name,
        parameters={name: Parameter(value=p.value, interval=p.interval) for name, p in law.parameters().items()},
        aicc=finite(law.aicc),
        sigma_log=law.sigma,
        num_points=law.num_points,
        num_censored=law.num_censored,
        equation=equation(law),
        candidates=tuple(
            Candidate(form=c.form, aicc=finite(c.aicc), delta_aicc=finite(c.aicc - best) if ranked else None)
            for c in result.candidates
        ),
        leave_largest_out=_leave_out(result, conditions),
        warnings=result.warnings,
        next_size=_next_size(law, acquisition, condition, conditions),
        band=_band(law, conditions),
        fit=law_record(law),
        acquisition=AcquisitionLaw(fit=law_record(acquisition.law), equation=equation(acquisition.law, "F_acq"))
        if acquisition.law
        else AcquisitionLaw(fit=None, reason=acquisition.reason),
    )


def _leave_out(result: LawResult, conditions: list[Condition]) -> LeaveOut | None:
    left = result.leave_largest_out
    if left is None:
        return None
    return LeaveOut(
        condition=next(c for c in conditions if (c.num_params, c.num_tokens) == (left.num_params, left.num_tokens)),
        predicted=left.predicted,
        interval=left.interval,
        observed=left.observed,
        error_ln=left.error_ln,
    )


def _next_size(
    law: Law, acquisition: LawResult, condition: LawCondition, conditions: list[Condition]
) -> Prediction | None:
    """The prediction for the next size up: of one budget only."""
    tokens = {c.num_tokens for c in conditions}
    if len(tokens) != 1:
        return None
    next_up = next_size_up(law.largest_params)
    return prediction_at(
        law,
        acquisition.law,
        num_params=next_up.num_params,
        num_tokens=next(iter(tokens)),
        condition=condition,
        ceiling=conditions[0].ceiling_frequency,
        acquisition_reason=acquisition.reason,
        model=next_up.name,
    )


def _band(law: Law, conditions: list[Condition]) -> tuple[BandPoint, ...]:
    """The law and its prediction band over the sizes and up to the next one, for drawing: one budget only."""
    tokens, ceiling = {c.num_tokens for c in conditions}, conditions[0].ceiling_frequency
    if len(tokens) != 1:
        return ()
    low = min(c.num_params for c in conditions)
    high = next_size_up(law.largest_params).num_params
    rows = []
    for i in range(33):
        size = low * (high / low) ** (i / 32)
        try:
            p = predict(law, size, next(iter(tokens)), ceiling)
        except FitError:  # the form needs a ceiling that is not known
            return ()
        rows.append(BandPoint(num_params=size, collapse_frequency=p.frequency, low=p.interval[0], high=p.interval[1]))
    return tuple(rows)


def _with_condition(reason: str, condition: LawCondition, several: bool) -> str:
    return f"{condition.words()}: {reason}" if several else reason


def run_once(
    folder: SweepFolder, workspace: Workspace, fact_set: str, target_retention: float | None
) -> AnalysisDocument:
    """Analyse now; the sweep's own analysis is kept as law.json too, unless a resident follower owns that."""
    document = Analysis(folder, workspace).document(fact_set, target_retention)
    if fact_set == "overall" and target_retention is None:
        with _Ownership(folder) as owned:
            if owned:
                _keep(folder, document)
    return document


def _keep(folder: SweepFolder, document: AnalysisDocument) -> bool:
    """Write law.json; False where the disk has no room for it."""
    try:
        write_record(folder.law, document, indented=False)
    except OSError as error:
        if not is_no_room(error):
            raise
        return False
    return True


def follow(folder: SweepFolder, workspace: Workspace, parent_pid: int) -> None:
    """Keep law.json current as long as the parent lives. There is one writer: where the follower of a supervisor that
    was killed is still at its last fit, wait for it.

    The parent is named by whoever starts this: by the time that this process could ask, it may be gone already."""
    while os.getppid() == parent_pid:
        with _Ownership(folder) as owned:
            if owned:
                _keep_current(folder, workspace, parent_pid)
        time.sleep(_POLL_S)


def _keep_current(folder: SweepFolder, workspace: Workspace, parent_pid: int) -> None:
    analysis = Analysis(folder, workspace)
    written_for = None
    while os.getppid() == parent_pid:
        plan = read_plan(folder.plan)
        digest = results_digest(plan, folder, workspace) if plan else None
        pause_s = _POLL_S
        if digest is not None and digest != written_for:
            started = time.monotonic()
            written_for = digest if _keep(folder, analysis.document()) else None
            # Runs train on the same cores: take two thirds of one at most.
            pause_s = max(_POLL_S, 0.5 * (time.monotonic() - started))
        time.sleep(pause_s)


class _Ownership:
    """The right to write a sweep's law.json, held by a lock file; entering gives whether it was free."""

    def __init__(self, folder: SweepFolder) -> None:
        self._path = folder.root / "law.lock"

    def __enter__(self) -> bool:
        self._handle: IO[str] | None = None
        try:
            self._handle = self._path.open("w")
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if self._handle is None and not is_no_room(error):
                raise
            return False
        return True

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.analysis.fit")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fact-set", choices=fact_sets.NAMES, default="overall")
    parser.add_argument("--target-retention", type=float)
    parser.add_argument("--follow", type=int, metavar="PID", help="stay as long as this parent lives")
    options = parser.parse_args(arguments)
    root = options.folder.resolve()
    folder, workspace = SweepFolder(root), Workspace(root.parent.parent)
    try:
        if options.follow is not None:
            follow(folder, workspace, options.follow)
        else:
            document = run_once(folder, workspace, options.fact_set, options.target_retention)
            sys.stdout.buffer.write(encoded(document))
    except KituiError as error:
        sys.stdout.buffer.write(orjson.dumps(error.to_json()))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
