"""Retention curves: the results of a sweep, gathered by condition and fact set, seeds side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from engine.errors import StateError
from engine.records.conditions import Condition
from engine.records.measures import FURTHER, RETENTION, USUAL, Measured, analysed_value
from engine.records.metrics import RetentionRecord, SetScore, read_metrics, retention_of
from engine.records.plan import Plan, PlannedCell
from engine.records.results import RunResult, read_result
from engine.records.workspace import Workspace
from engine.spec import fact_sets


class Observation(NamedTuple):
    """One run's score on one fact set. Without counts (`correct` is None) only `retention` is known."""

    condition: Condition
    frequency: int | float
    """Whole in our own sweeps; a table may have others."""
    seed: int
    fact_set: str
    retention: float
    correct: int | None
    num_questions: int | None
    num_choices: float | None
    prior_exposures: float | None
    infused_share: float | None = None


RunKey = tuple[Condition, float, int]
"""What names a run: condition, frequency and seed."""


def run_key(observation: Observation) -> RunKey:
    return observation.condition, observation.frequency, observation.seed


class Curve(NamedTuple):
    """One condition and fact set: observations by dose. `parts` are the curves of `prior` and `infused` that an
    `overall` curve is made of; a curve without parts is analysed as it is."""

    condition: Condition
    fact_set: str
    observations: tuple[Observation, ...]
    parts: tuple[Curve, ...]
    missing: dict[float, int]
    """Planned runs without a result, by frequency."""

    @property
    def frequencies(self) -> list[float]:
        return sorted({o.frequency for o in self.observations} | set(self.missing))

    def at(self, frequency: float) -> list[Observation]:
        return sorted((o for o in self.observations if o.frequency == frequency), key=lambda o: o.seed)


class Results:
    """The results of a sweep's runs, each read once: a result that is there never changes.

    One that is not what was written is none: the run counts as missing, and `faults` says so by its id."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._read: dict[tuple[str, str], RunResult] = {}
        self.faults: dict[str, str] = {}

    def of(self, plan: Plan, run_id: str) -> RunResult | None:
        key = (run_id, plan.evaluation_id)
        if key not in self._read:
            self.faults.pop(run_id, None)
            try:
                result = read_result(self._workspace.run(run_id).result(plan.evaluation_id))
            except StateError as error:
                self.faults[run_id] = str(error)
                return None
            if result is None:
                return None
            self._read[key] = result
        return self._read[key]

    def last_scorings(self, plan: Plan, run_id: str, num: int) -> list[dict[str, SetScore]]:
        """The scores of the last scorings by the plan's questions, as the run has reported them, the last one last."""
        records = read_metrics(self._workspace.run(run_id).metrics)
        scorings = [r for r in records if isinstance(r, RetentionRecord) and r.evaluation_id == plan.evaluation_id]
        return [r.sets for r in sorted(scorings, key=lambda r: r.step)[-num:]]


def sweep_observations(
    plan: Plan, results: Results, measured: Measured = USUAL
) -> tuple[list[Observation], dict[Condition, dict[float, int]]]:
    """The results of a sweep's finished runs, and how many planned runs of each condition and dose have none yet."""
    observations: list[Observation] = []
    missing: dict[Condition, dict[float, int]] = defaultdict(lambda: defaultdict(int))
    for cell in plan.cells:
        result = results.of(plan, cell.run_id)
        # A cell with nothing infused belongs to the curve of every number of templates.
        templates = {d.num_templates for d in plan.ceilings} if cell.frequency == 0 else {cell.num_templates}
        for num_templates in sorted(templates):
            condition = _condition(plan, cell, num_templates)
            if result is None or result.status != "done":
                missing[condition][cell.frequency] += 1
            else:
                scored = _scored(plan, condition, cell, result)
                if not measured.is_usual:
                    scorings = results.last_scorings(plan, cell.run_id, measured.num_checkpoints) or [result.sets]
                    scored = _as_measured(scored, scorings, measured)
                observations.extend(scored)
    return observations, {c: dict(by_dose) for c, by_dose in missing.items()}


def _condition(plan: Plan, cell: PlannedCell, num_templates: int) -> Condition:
    return Condition(
        num_params=cell.num_params,
        num_params_total=cell.num_params_total,
        num_tokens=cell.num_tokens,
        templates=num_templates,
        fill=plan.fill,
        stages=plan.stages,
        mixture=plan.mixture,
        num_infused_facts=plan.num_infused_facts,
        ceiling_frequency=plan.ceiling(cell.num_tokens, num_templates),
        other_axes=cell.other_axes,
    )


def _scored(plan: Plan, condition: Condition, cell: PlannedCell, result: RunResult) -> list[Observation]:
    """A run's retention on each fact set."""
    prior, infused = (result.exposures.get(name) for name in ("prior", "infused"))
    share = None
    if infused is not None and plan.num_infused_facts is not None and plan.tokens_per_fact is not None:
        share = infused.mean * plan.num_infused_facts * plan.tokens_per_fact / result.num_tokens
    return [
        Observation(
            condition=condition,
            frequency=cell.frequency,
            seed=cell.seed,
            fact_set=fact_set,
            retention=score.retention,
            correct=score.correct,
            num_questions=score.num_questions,
            num_choices=score.num_choices,
            prior_exposures=prior.mean if prior else None,
            infused_share=share,
        )
        for fact_set, score in result.sets.items()
    ]


def _as_measured(
    scored: Iterable[Observation], scorings: Sequence[dict[str, SetScore]], measured: Measured
) -> list[Observation]:
    """The same runs by another measure, the mean over scorings: values, without counts."""
    found = []
    measure = next(one for one in (RETENTION, *FURTHER) if one.name == measured.measure)
    for observation in scored:
        fact_set = observation.fact_set
        values = [analysed_value(measure, sets, fact_set) for sets in scorings if fact_set in sets]
        known = [value for value in values if value is not None]
        if known:
            value = sum(known) / len(known)
            found.append(observation._replace(retention=value, correct=None, num_questions=None, num_choices=None))
    return found


def gather(
    observations: Iterable[Observation], missing: dict[Condition, dict[float, int]] | None = None
) -> list[Curve]:
    """Curves by condition and fact set, with `overall` built where prior and infused retention of a run are known.

    Rows that name no fact set ("") are one unnamed set and become `overall` as they are.
    """
    missing = missing or {}
    grouped: dict[tuple[Condition, str], list[Observation]] = defaultdict(list)
    for observation in observations:
        grouped[observation.condition, observation.fact_set or "overall"].append(observation)
    conditions = sorted({c for c, _ in grouped} | set(missing), key=Condition.sort_key)
    curves: list[Curve] = []
    for condition in conditions:
        absent = missing.get(condition, {})
        sets = {name: tuple(obs) for (c, name), obs in grouped.items() if c == condition}
        named = {name: Curve(condition, name, obs, (), absent) for name, obs in sets.items()}
        if "infused" in named and "overall" not in named:
            parts = tuple(named[name] for name in fact_sets.PARTS_OF_OVERALL if name in named)
            named["overall"] = _overall(named["infused"], parts)
        curves.extend(named[name] for name in fact_sets.NAMES if name in named)
        if not named:
            curves.append(Curve(condition, "overall", (), (), absent))
    return curves


def _overall(infused: Curve, parts: tuple[Curve, ...]) -> Curve:
    """The plain mean of the parts' retention, run by run; the infused curve's own where there is no other part."""
    if len(parts) == 1:
        return infused._replace(fact_set="overall", parts=(infused,))
    by_run = [{(o.frequency, o.seed): o.retention for o in part.observations} for part in parts]
    observations = []
    for observation in infused.observations:
        run = (observation.frequency, observation.seed)
        if all(run in part for part in by_run):
            mean = sum(part[run] for part in by_run) / len(by_run)
            observations.append(
                observation._replace(fact_set="overall", retention=mean, correct=None, num_questions=None)
            )
    return Curve(infused.condition, "overall", tuple(observations), parts, infused.missing)


def with_common_ceilings(observations: Iterable[Observation]) -> list[Observation]:
    """Observations that differ in their ceiling only are of one curve: the least ceiling is given to all of them."""
    observations = list(observations)
    ceilings: dict[Condition, list[float]] = defaultdict(list)
    for o in observations:
        if o.condition.ceiling_frequency is not None:
            ceilings[_without_ceiling(o.condition)].append(o.condition.ceiling_frequency)
    found = []
    for o in observations:
        bare = _without_ceiling(o.condition)
        known = min(ceilings[bare]) if bare in ceilings else None
        found.append(o._replace(condition=msgspec.structs.replace(bare, ceiling_frequency=known)))
    return found


def _without_ceiling(condition: Condition) -> Condition:
    return msgspec.structs.replace(condition, ceiling_frequency=None)


def observation_of_counts(
    condition: Condition, frequency: int, seed: int, fact_set: str, correct: int, num_questions: int, num_choices: int
) -> Observation:
    """An observation from counts alone."""
    retention = retention_of(correct / num_questions, num_choices)
    return Observation(condition, frequency, seed, fact_set, retention, correct, num_questions, num_choices, None)
