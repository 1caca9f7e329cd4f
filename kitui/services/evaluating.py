"""`kitui evaluate`: the kept weights of a sweep scored again with other questions, as a sweep beside it. Nothing is
trained: what has no weights is left out, and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import tomlkit

from engine.control.ledger.state_file import read_state
from engine.errors import SpecError
from engine.records.bundle import SweepBundle, read_bundle
from engine.records.raw_bundle import RawBundle
from engine.records.record import decoded, encoded
from engine.records.states import LOCAL, Runs
from engine.records.workspace import Workspace, kept_weights
from engine.spec.drawn_facts import check_questions, with_own_questions
from engine.spec.evaluation import EvaluationSettings
from engine.spec.names import check_name
from engine.spec.runspec import RunSpec, content_id, evaluation_identity
from engine.spec.sweep import Sweep
from engine.spec.sweep_file import faults_of
from kitui.services.engine_commands import PlannedSweep
from kitui.services.format import counted
from kitui.services.sweeps import known_sweep

_TO_SCORE, _SCORED = "to score", "scored with them before"


class Evaluation(NamedTuple):
    """A sweep that scores another's runs with other questions, and how many of those there are of which kind."""

    planned: PlannedSweep | None
    """None where there is nothing to score."""
    name: str
    hosts: tuple[str, ...]
    counts: Mapping[str, int]
    notes: tuple[str, ...]

    def words(self) -> str:
        return f"{self.name}: " + ", ".join(f"{counted(n, 'run')} {words}" for words, n in self.counts.items())


def evaluation_of(
    workspace: Workspace, sweep: str, changes: Mapping[str, object], *, name: str | None = None
) -> Evaluation:
    """What scoring a sweep's runs with these settings of [evaluation] comes to. SpecError for settings that are wrong,
    or change nothing; DataError where the facts cannot be asked about so."""
    original, folder, _ = known_sweep(workspace, sweep)
    bundle = read_bundle(folder.bundle)
    if bundle is None:
        raise SpecError("this sweep was not trained here: there is nothing to score.", value=original)
    toml, settings = _changed(bundle, changes)
    facts, notes = bundle.facts, list[str]()
    if "questions" in changes:
        facts, notes = with_own_questions(facts, Path.cwd(), settings)
    notes += check_questions(facts, settings, original)
    evaluation_id = content_id(evaluation_identity(settings, facts))
    if evaluation_id == bundle.plan.evaluation_id:
        mend = "Change one: --num-choices, --question-template, --questions-per-fact, --kind, --questions."
        raise SpecError("it is scored with these questions already.", value=original, mend=mend)
    name = check_name(name or f"{original[:90]}-{evaluation_id[:6]}", key="--as")
    if name == original:
        mend = "To change its own questions, change [evaluation] in its file and launch that."
        raise SpecError("that is the sweep itself.", key="--as", value=name, mend=mend)
    state = read_state(workspace)
    if (name in state.sweeps and state.sweeps[name].evaluation_id != evaluation_id) or _is_foreign(workspace, name):
        raise SpecError("there is a sweep of this name.", key="--as", value=name, mend="Choose another.")
    standing = {run.run_id: _standing(workspace, state.runs, run, evaluation_id) for run in bundle.runs}
    chosen = tuple(
        run.model_copy(
            update={
                "evaluation": settings,
                "evaluation_id": evaluation_id,
                "facts_id": facts.facts_id,
                "only_score": True,
            }
        )
        for run in bundle.runs
        if standing[run.run_id] in (_TO_SCORE, _SCORED)
    )
    toml["name"] = name
    planned = (
        _planned(msgspec.structs.replace(bundle, facts=facts), name, str(toml.as_string()), chosen, tuple(notes))
        if chosen
        else None
    )
    hosts = state.sweeps[original].hosts if original in state.sweeps else (LOCAL,)
    return Evaluation(planned, name, hosts, Counter(standing.values()), tuple(notes))


def _changed(bundle: SweepBundle, changes: Mapping[str, object]) -> tuple[tomlkit.TOMLDocument, EvaluationSettings]:
    """The sweep's file with other settings of its questions, and all those settings."""
    document = tomlkit.parse(bundle.sweep_toml)
    table = document.setdefault("evaluation", tomlkit.table())
    table.update(changes)
    plain = document.unwrap() | {"name": bundle.plan.sweep}
    for key, value, what, mend in faults_of(plain):
        raise SpecError(what, key=key, value=value, mend=mend)
    settings = Sweep.model_validate(plain).evaluation
    asked, before = bundle.runs[0].mixture.questions_in_background, bundle.runs[0].evaluation.question_template
    if asked and settings.question_template != before:
        raise SpecError(
            "the background holds the answers to this sweep's own questions: others would need other training.",
            key="evaluation.question_template",
            value=settings.question_template,
            mend="Change it in the sweep file, and launch that.",
        )
    return document, settings


def _is_foreign(workspace: Workspace, name: str) -> bool:
    return workspace.sweep(name).results.exists()


def _standing(workspace: Workspace, runs: Runs, spec: RunSpec, evaluation_id: str) -> str:
    run, folder = runs.get(spec.run_id), workspace.run(spec.run_id)
    if folder.result(evaluation_id).exists():
        return _SCORED
    if run is None or not any(summary.status == "done" for summary in run.results.values()):
        return "left out: not trained to the end"
    kept_there = spec.keep_weights != "none" and not run.weights_dropped
    there = kept_there if run.host != LOCAL else kept_weights(folder) is not None
    return _TO_SCORE if there else "left out: no weights were kept"


def _planned(
    bundle: SweepBundle, name: str, sweep_toml: str, runs: tuple[RunSpec, ...], notes: tuple[str, ...]
) -> PlannedSweep:
    ids = {run.run_id for run in runs}
    plan = msgspec.structs.replace(
        bundle.plan,
        sweep=name,
        evaluation_id=runs[0].evaluation_id,
        facts_id=runs[0].facts_id,
        num_choices=runs[0].evaluation.num_choices,
        cells=tuple(cell for cell in bundle.plan.cells if cell.run_id in ids),
        notes=notes,
    )
    changed = msgspec.structs.replace(
        bundle, sweep_toml=sweep_toml, origin=None, plan=plan, runs=runs, max_gpu_hours=None, max_disk_bytes=None
    )
    return PlannedSweep(decoded(RawBundle, encoded(changed)))
