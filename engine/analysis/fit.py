"""The analysis command: a sweep's results in, its `law.json` out.

    python -m engine.analysis.fit SWEEP_FOLDER [--fact-set SET]      prints the analysis; writes law.json for `overall`
    python -m engine.analysis.fit SWEEP_FOLDER --follow              stays, and writes law.json whenever a run ends

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
from typing import Any

import orjson

from engine.analysis.checks import UNSEEN_SIGNIFICANCE, template_effect, unseen_check
from engine.analysis.collapse import CollapsePoint, collapse_point
from engine.analysis.curves import Condition, Curve, Results, gather, sweep_observations
from engine.analysis.imports import read_imported
from engine.analysis.law import Law, LawPoint, LawResult, fit_law, predict
from engine.analysis.predictions import equation, finite, law_json, prediction_json
from engine.analysis.scatter import Scatter, pooled_scatter
from engine.errors import FitError, KituiError, StateError
from engine.records.results import SCHEMA_VERSION, Plan, read_plan, results_digest
from engine.records.workspace import SweepFolder, Workspace, write_json
from engine.spec.models import next_size_up

FACT_SETS = ("overall", "prior", "infused", "verbatim", "unseen")
_POLL_S = 0.3


class Analysis:
    """Analyses one sweep, and again when results have come in; curves that did not change are not fitted again."""

    def __init__(self, folder: SweepFolder, workspace: Workspace) -> None:
        self.folder, self.workspace = folder, workspace
        self._results = Results(workspace)
        self._points: dict[tuple[Any, ...], CollapsePoint] = {}

    def document(self, fact_set: str = "overall", target_retention: float | None = None) -> dict[str, Any]:
        """The whole analysis as JSON content. StateError where there is no such sweep."""
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
        points = [self._point(curve, scatter, target) for curve in chosen]
        return {
            "schema_version": SCHEMA_VERSION,
            "sweep": plan.sweep,
            "simulated": plan.simulated,
            "inputs": inputs,
            "curves": [_curve_json(curve) for curve in curves],
            "law": _law_document(plan, fact_set, chosen, points, self._unseen_words(plan)),
        }

    def _point(self, curve: Curve, scatter: Scatter, target: float) -> CollapsePoint:
        values = tuple((p.fact_set, tuple(sorted(o[1:] for o in p.observations))) for p in (curve, *curve.parts))
        key = (
            curve.condition,
            values,
            scatter.dispersion,
            *map(tuple, (scatter.rho.items(), scatter.sd.items())),
            scatter.df,
            target,
        )
        if key not in self._points:
            for old in [k for k in self._points if (k[0], k[1][0][0]) == (curve.condition, curve.fact_set)]:
                del self._points[old]
            self._points[key] = collapse_point(curve, scatter, target_retention=target)
        return self._points[key]

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


def _curve_json(curve: Curve) -> dict[str, Any]:
    points = []
    for frequency in curve.frequencies:
        here = curve.at(frequency)
        retentions = [o.retention for o in here]
        mean = sum(retentions) / len(here) if here else None
        squares = sum((r - mean) ** 2 for r in retentions) if mean is not None else 0.0
        points.append(
            {
                "frequency": frequency,
                "values": [
                    {
                        "seed": o.seed,
                        "retention": o.retention,
                        "correct": o.correct,
                        "num_questions": o.num_questions,
                        "prior_exposures": o.prior_exposures,
                    }
                    for o in here
                ],
                "mean": mean,
                "sd": math.sqrt(squares / (len(here) - 1)) if len(here) > 1 else None,
                "n": len(here),
                "missing": curve.missing.get(frequency, 0),
            }
        )
    return {"condition": condition_json(curve.condition), "fact_set": curve.fact_set, "points": points}


def condition_json(condition: Condition) -> dict[str, Any]:
    return dict(condition._asdict())


def _point_json(point: CollapsePoint) -> dict[str, Any]:
    return {
        "condition": condition_json(point.condition),
        "status": point.status,
        "frequency": point.frequency,
        "interval": list(point.interval),
        "half_drop_frequency": point.half_drop_frequency,
        "best_frequency": point.best_frequency,
        "drop": point.drop,
        "shape": point.shape,
        "p_value_no_collapse": point.p_value_no_collapse,
        "acquisition_frequency": point.acquisition_frequency,
        "acquisition_interval": list(point.acquisition_interval),
        "dead_runs": list(point.dead_runs),
        "reason": point.reason,
    }


def _law_document(
    plan: Plan, fact_set: str, curves: list[Curve], points: list[CollapsePoint], unseen: tuple[list[str], list[str]]
) -> dict[str, Any]:
    by_condition: dict[tuple[Any, ...], list[CollapsePoint]] = {}
    for point in points:
        by_condition.setdefault(point.condition.law_condition(), []).append(point)
    laws, reasons = [], []
    for law_condition, members in by_condition.items():
        result = fit_law(_law_points(members), declared_form=plan.analysis.law_form)
        if result.law is None:
            reasons.append(_with_condition(result.reason or "", law_condition, len(by_condition) > 1))
            continue
        laws.append(_one_law_json(result, result.law, members))
    effect = template_effect(curves)
    notes, warnings = unseen
    if any(
        p.condition.mixture == "displace" and p.condition.fill == "infused" and p.status == "observed" for p in points
    ):
        warnings.append(
            "infused text displaces background, so that prior facts are read less often as F grows: run the same sweep "
            'with mixture.fill = "neutral" to see how much of the fall is that dilution'
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "sweep": plan.sweep,
        "simulated": plan.simulated,
        "fact_set": fact_set,
        "collapse_points": [_point_json(p) for p in points],
        "laws": laws,
        "template_effect": None
        if effect is None
        else {"difference": effect.difference, "interval": list(effect.interval), "p": effect.p},
        "warnings": warnings,
        "notes": notes,
        "reason": None if laws else "; ".join(reasons) or "there are no results yet",
    }


def _law_points(points: Iterable[CollapsePoint]) -> list[LawPoint]:
    return [
        LawPoint(
            num_params=p.condition.num_params,
            num_tokens=p.condition.num_tokens,
            profile=p.profile.at_most() if p.status == "left_censored" else p.profile,
            log_frequency=math.log(p.frequency) if p.frequency else None,
            ceiling=p.condition.ceiling_frequency,
        )
        for p in points
        if p.learned and p.profile is not None
    ]


def _acquisition_points(points: Iterable[CollapsePoint]) -> list[LawPoint]:
    """Acquisition frequencies; one that the first tested dose reaches already is censored from above."""
    return [
        LawPoint(
            num_params=p.condition.num_params,
            num_tokens=p.condition.num_tokens,
            profile=p.acquisition_profile,
            log_frequency=math.log(p.acquisition_frequency)
            if p.acquisition_frequency and p.acquisition_profile.below < -1e-9
            else None,
            ceiling=None,
        )
        for p in points
        if p.acquisition_profile is not None
    ]


def _one_law_json(result: LawResult, law: Law, members: list[CollapsePoint]) -> dict[str, Any]:
    condition = condition_json(members[0].condition)
    for varying in ("num_params", "num_params_total", "num_tokens", "ceiling_frequency"):
        condition.pop(varying)
    best = min(c.aicc for c in result.candidates)
    ranked = all(math.isfinite(c.aicc) for c in result.candidates) and law.num_points >= 6
    acquisition = fit_law(_acquisition_points(members), what="acquisition frequency", leave_largest_out=False)
    left_out = result.leave_largest_out
    tokens = {p.condition.num_tokens for p in members}
    next_up = next_size_up(law.largest_params)
    next_prediction = None
    if len(tokens) == 1:
        next_prediction = prediction_json(
            law,
            acquisition.law,
            num_params=next_up.num_params,
            num_tokens=next(iter(tokens)),
            condition=condition,
            ceiling=members[0].condition.ceiling_frequency,
            acquisition_reason=acquisition.reason,
        ) | {"model": next_up.name}
    return {
        "condition": condition,
        "form": law.form,
        "parameters": {name: {"value": p.value, "interval": list(p.interval)} for name, p in law.parameters().items()},
        "aicc": finite(law.aicc),
        "sigma_log": law.sigma,
        "num_points": law.num_points,
        "num_censored": law.num_censored,
        "equation": equation(law),
        "candidates": [
            {"form": c.form, "aicc": finite(c.aicc), "delta_aicc": finite(c.aicc - best) if ranked else None}
            for c in result.candidates
        ],
        "leave_largest_out": None
        if left_out is None
        else {
            "condition": next(
                condition_json(p.condition)
                for p in members
                if (p.condition.num_params, p.condition.num_tokens) == (left_out.num_params, left_out.num_tokens)
            ),
            "predicted": left_out.predicted,
            "interval": list(left_out.interval),
            "observed": left_out.observed,
            "error_ln": left_out.error_ln,
        },
        "warnings": list(result.warnings),
        "next_size": next_prediction,
        "band": _band(law, members),
        # What `kitui predict` needs to go on from here.
        "fit": law_json(law),
        "acquisition": {"fit": law_json(acquisition.law), "equation": equation(acquisition.law, "F_acq")}
        if acquisition.law
        else {"fit": None, "reason": acquisition.reason},
    }


def _band(law: Law, members: list[CollapsePoint]) -> list[dict[str, float]]:
    """The law and its prediction band over the sizes and up to the next one, for drawing: one budget only."""
    tokens = {p.condition.num_tokens for p in members}
    if len(tokens) != 1 or (law.form == "bounded" and members[0].condition.ceiling_frequency is None):
        return []
    low = min(p.condition.num_params for p in members)
    high = next_size_up(law.largest_params).num_params
    rows = []
    for i in range(33):
        size = low * (high / low) ** (i / 32)
        p = predict(law, size, next(iter(tokens)), members[0].condition.ceiling_frequency)
        rows.append({"num_params": size, "frequency": p.frequency, "low": p.interval[0], "high": p.interval[1]})
    return rows


def _with_condition(reason: str, law_condition: tuple[Any, ...], several: bool) -> str:
    templates, fill, stages, mixture, _ = law_condition
    if not several:
        return reason
    return f"{mixture or ''} {fill or ''} {stages or ''} templates {templates}: {reason}".strip()


def run_once(
    folder: SweepFolder, workspace: Workspace, fact_set: str, target_retention: float | None
) -> dict[str, Any]:
    """Analyse now; the sweep's own analysis is kept as law.json too, unless a resident follower owns that."""
    document = Analysis(folder, workspace).document(fact_set, target_retention)
    if fact_set == "overall" and target_retention is None:
        with _Ownership(folder) as owned:
            if owned:
                write_json(folder.law, document)
    return document


def follow(folder: SweepFolder, workspace: Workspace) -> None:
    """Keep law.json current until the parent ends. Sole writer: a second follower of the same sweep leaves at once."""
    with _Ownership(folder) as owned:
        if not owned:
            return
        analysis = Analysis(folder, workspace)
        parent = os.getppid()
        seen = None
        while os.getppid() == parent:
            plan = read_plan(folder.plan)
            digest = results_digest(plan, folder, workspace) if plan else None
            pause_s = _POLL_S
            if digest is not None and digest != seen:
                seen, started = digest, time.monotonic()
                write_json(folder.law, analysis.document())
                # Runs train on the same cores: take two thirds of one at most.
                pause_s = max(_POLL_S, 0.5 * (time.monotonic() - started))
            time.sleep(pause_s)


class _Ownership:
    """The right to write a sweep's law.json, held by a lock file; entering gives whether it was free."""

    def __init__(self, folder: SweepFolder) -> None:
        self._path = folder.root / "law.lock"

    def __enter__(self) -> bool:
        self._handle = self._path.open("w")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self._handle.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.analysis.fit")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fact-set", choices=FACT_SETS, default="overall")
    parser.add_argument("--target-retention", type=float)
    parser.add_argument("--follow", action="store_true")
    options = parser.parse_args(arguments)
    root = options.folder.resolve()
    folder, workspace = SweepFolder(root), Workspace(root.parent.parent)
    try:
        if options.follow:
            follow(folder, workspace)
        else:
            document = run_once(folder, workspace, options.fact_set, options.target_retention)
            sys.stdout.buffer.write(orjson.dumps(document))
    except (KituiError, FitError) as error:
        sys.stdout.buffer.write(orjson.dumps(error.to_json()))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
