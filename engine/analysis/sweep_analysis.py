"""The analysis of one sweep, and again as its results come in: what did not change is not worked out again.

The scatter between seeds is pooled over the sweep, so that each run that ends moves it a little, and with it every
curve. While runs come in, a curve without new results is shown as it was fitted, as long as the scatter is near to what
it was then; at leisure all are fitted with the scatter as it is ("settled"), as a single analysis always does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from engine.analysis.checks import UNSEEN_SIGNIFICANCE, unseen_check
from engine.analysis.collapse import Collapse
from engine.analysis.curves import Curve, Results, gather, sweep_observations
from engine.analysis.dead_runs import scatter_of
from engine.analysis.imports import read_given_points, read_imported
from engine.analysis.law_document import curve_record, law_document
from engine.analysis.mechanism import mechanism
from engine.analysis.scatter import Scatter
from engine.analysis.side_by_side import Fitter, fit_here
from engine.errors import SpecError, StateError
from engine.records.analysis import AnalysisDocument
from engine.records.conditions import Condition
from engine.records.digests import ANALYSIS_SEMANTICS, results_digest
from engine.records.measures import USUAL, Measured
from engine.records.plan import Plan, read_plan
from engine.records.workspace import SweepFolder, Workspace
from engine.spec.fact_sets import OVERALL

_NEAR_FACTOR, _NEAR_OCTAVES, _NEAR_WEIGHT = 1.3, 0.1, 0.1
"""A pooled figure that is so near to another is taken for the same, for the time being."""


class _Key(NamedTuple):
    """A curve's own results, and what is asked of it."""

    condition: Condition
    fact_set: str
    values: tuple[object, ...]
    target: float


class _Spread(NamedTuple):
    """What a curve's analysis takes from the pooled scatter."""

    factors: tuple[float, ...]
    octaves: tuple[float, ...]
    weights: tuple[float, ...]
    df: int

    def is_near(self, other: _Spread) -> bool:
        pairs = [*zip(self.factors, other.factors, strict=True), (self.df, other.df)]
        return (
            all(a == b or (min(a, b) > 0 and max(a, b) < _NEAR_FACTOR * min(a, b)) for a, b in pairs)
            and all(abs(a - b) < _NEAR_OCTAVES for a, b in zip(self.octaves, other.octaves, strict=True))
            and all(abs(a - b) < _NEAR_WEIGHT for a, b in zip(self.weights, other.weights, strict=True))
        )


class _Fitted(NamedTuple):
    spread: _Spread
    collapse: Collapse


class SweepAnalysis:
    """Analyses one sweep; `fitter` fits many curves."""

    def __init__(self, folder: SweepFolder, workspace: Workspace, fitter: Fitter = fit_here) -> None:
        self.folder, self.workspace = folder, workspace
        self._results = Results(workspace)
        self._fitter = fitter
        self._fitted: dict[_Key, _Fitted] = {}
        self.num_unsettled = 0
        """Curves of the last document that were fitted with a scatter of a moment before."""

    def document(
        self,
        fact_set: str = "overall",
        target_retention: float | None = None,
        measured: Measured = USUAL,
        *,
        is_settled: bool = True,
    ) -> AnalysisDocument:
        """The whole analysis. StateError where there is no such sweep; SpecError where it was not measured so."""
        plan = read_plan(self.folder.plan)
        if plan is None:
            raise StateError("there is no sweep here.", where=str(self.folder.root))
        given: list[Collapse] = []
        inputs = results_digest(plan, self.folder, self.workspace)
        if self.folder.results.exists() and not measured.is_usual:
            raise SpecError(
                "a table has one measure, and one value of it for each run.",
                key="--measure, --checkpoints",
                value=f"{measured.measure}, {measured.num_checkpoints}",
            )
        if self.folder.results.exists():
            curves = gather(read_imported(self.folder))
            given = read_given_points(self.folder)
        else:
            curves = gather(*sweep_observations(plan, self._results, measured))
        scatter = scatter_of(curves)
        chosen = [c for c in curves if c.fact_set == fact_set]
        target = plan.analysis.target_retention if target_retention is None else target_retention
        collapses = self._collapses_of(chosen, scatter, target, is_settled=is_settled)
        for point in given:
            chosen.append(Curve(point.point.condition, fact_set, (), (), {}))
            collapses.append(point)
        records = tuple(curve_record(curve, scatter) for curve in curves)
        law = law_document(plan, fact_set, chosen, collapses, *self._words(plan), scatter)
        return AnalysisDocument(
            sweep=plan.sweep,
            simulated=plan.simulated,
            inputs=inputs,
            analysis_semantics=ANALYSIS_SEMANTICS,
            num_unsettled=self.num_unsettled,
            curves=records,
            measure=measured.words(),
            sizes=law.sizes,
            law=msgspec.structs.replace(
                law,
                measure=measured.words(),
                mechanism=mechanism(records, law.collapse_points if fact_set == OVERALL.name else ()),
            ),
        )

    def _collapses_of(
        self, curves: Sequence[Curve], scatter: Scatter, target: float, *, is_settled: bool
    ) -> list[Collapse]:
        """The curves' collapse points; those that nothing has changed for are not worked out again."""
        keys = [_key(curve, target) for curve in curves]
        spreads = [_spread(curve, scatter) for curve in curves]
        new = []
        for index, (key, spread) in enumerate(zip(keys, spreads, strict=True)):
            known = self._fitted.get(key)
            if known is None or not (known.spread == spread or (not is_settled and known.spread.is_near(spread))):
                new.append(index)
        found = self._fitter([curves[i] for i in new], scatter, target) if new else []
        kept = {key: self._fitted[key] for key in keys if key in self._fitted}
        self._fitted = kept | {keys[i]: _Fitted(spreads[i], one) for i, one in zip(new, found, strict=True)}
        self.num_unsettled = sum(self._fitted[k].spread != s for k, s in zip(keys, spreads, strict=True))
        return [self._fitted[key].collapse for key in keys]

    def _words(self, plan: Plan) -> tuple[list[str], list[str]]:
        """Notes and warnings about what was read: results that are damaged, and unseen facts, at chance or not."""
        notes, warnings = self._unseen_words(plan)
        if faults := list(self._results.faults.values()):
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            warnings.append(f"left out, until kitui verify {plan.sweep} --mend: {faults[0]}{more}")
        if self.num_unsettled:
            curves = "1 curve is" if self.num_unsettled == 1 else f"{self.num_unsettled} curves are"
            notes.append(
                f"{curves} shown as fitted with a slightly different scatter between seeds, to be fitted again when "
                "there is time"
            )
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


def _key(curve: Curve, target: float) -> _Key:
    values = tuple((p.fact_set, tuple(sorted(o[1:] for o in p.observations))) for p in (curve, *curve.parts))
    return _Key(curve.condition, curve.fact_set, values, target)


def _spread(curve: Curve, scatter: Scatter) -> _Spread:
    names = [p.fact_set for p in curve.parts or (curve,)]
    return _Spread(
        factors=(scatter.dispersion, *(of.get(name, 0.0) for name in names for of in (scatter.rho, scatter.sd))),
        octaves=tuple(scatter.shift_octaves.get(name, 0.0) for name in names),
        weights=tuple(scatter.weight(o) for o in curve.observations),
        df=scatter.df,
    )
