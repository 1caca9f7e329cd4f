"""Results trained elsewhere (or simulated), as a sweep of their own: `results.parquet` beside a plan without runs.

One row a run and fact set. What the columns mean stands in docs/formats.md; columns that are not known are kept.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engine.analysis.curves import Observation, gather
from engine.errors import DamageError, DataError, KituiError, together
from engine.records.conditions import Condition
from engine.records.metrics import retention_of
from engine.records.plan import Plan, PlannedAnalysis, PlannedCell
from engine.records.record import write_record
from engine.records.seals import check_manifest, write_manifest
from engine.records.workspace import SweepFolder, Workspace
from engine.spec import fact_sets
from engine.spec.axes import OTHER_AXES
from engine.spec.names import check_name
from engine.spec.numbers import parse_count, parse_number, parse_seed
from engine.spec.tables import read_rows

REQUIRED = ("num_params", "num_tokens", "frequency", "seed")
_MEASURES = "correct, num_questions and num_choices; or accuracy, num_questions and num_choices; or retention"


def import_table(path: Path, name: str, workspace: Workspace, *, replace: bool = False) -> SweepFolder:
    """Read a table of results and keep it as the sweep `name`. DataError names line, column and value of each bad row,
    and then nothing is imported."""
    check_name(name, key="--name")
    rows, observations, faults = [], [], []
    line_of: dict[tuple[Any, ...], int] = {}
    for line, row in read_rows(path, key="TABLE", required=REQUIRED):
        try:
            observation = _observation(path, line, row)
        except DataError as error:
            faults.append(error)
            continue
        run = (observation.condition, observation.frequency, observation.seed, observation.fact_set)
        if run in line_of:
            faults.append(
                DataError(
                    f"the same run and fact set stand on line {line_of[run]}.",
                    where=f"{path}, line {line}",
                    key="frequency, seed, fact_set",
                    value=f"{observation.frequency}, {observation.seed}, {observation.fact_set or '(none)'}",
                    mend="Delete one of the two rows, or give the runs different seeds.",
                )
            )
        line_of[run] = line
        rows.append(row)
        observations.append(observation)
    if faults:
        raise together(faults)
    if not rows:
        raise DataError("there are no rows in this table.", where=str(path))
    # An exported simulation stays one.
    simulated = any(str(row.get("simulated")).lower() in ("true", "1") for row in rows)
    return write_sweep(observations, rows, name, workspace, simulated=simulated, replace=replace)


def write_sweep(
    observations: list[Observation],
    rows: list[dict[str, Any]],
    name: str,
    workspace: Workspace,
    *,
    simulated: bool,
    replace: bool,
) -> SweepFolder:
    """Build the sweep's folder aside and rename it in. DataError where the name is taken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = workspace.sweep(name)
    if folder.root.exists() and (not replace or folder.bundle.exists()):
        trained = folder.bundle.exists()
        raise DataError(
            "a sweep trained here has this name." if trained else "there is a sweep of this name.",
            where=str(folder.root),
            key="--name",
            value=name,
            mend="Choose another name." if trained else "Choose another name, or give --replace.",
        )
    workspace.create()
    building = SweepFolder(Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder.root.parent)))
    try:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        table = pa.table({column: pa.array(_one_type([row.get(column) for row in rows])) for column in columns})
        pq.write_table(table, building.results)
        write_record(building.plan, _plan(observations, name, simulated=simulated))
        write_manifest(building.root, [building.results.name])
        if folder.root.exists():
            discarded = building.root.with_name(f"{building.root.name}.old")
            os.replace(folder.root, discarded)
            os.replace(building.root, folder.root)
            shutil.rmtree(discarded, ignore_errors=True)
        else:
            os.replace(building.root, folder.root)
    except OSError as error:
        raise KituiError(f"the sweep cannot be written: {error.strerror}.", where=str(folder.root)) from None
    finally:
        shutil.rmtree(building.root, ignore_errors=True)
    return folder


def read_imported(folder: SweepFolder) -> list[Observation]:
    """The observations of an imported or simulated sweep. DamageError where they are not what was imported."""
    path = folder.results
    try:
        check_manifest(folder.root)
    except DamageError as error:
        error.mend = "Import it again."
        raise
    return [_observation(path, line, row) for line, row in read_rows(path, key="results", required=REQUIRED)]


def row_of(observation: Observation) -> dict[str, Any]:
    """The observation as a row of an importable table."""
    condition = {name: value for name, value in observation.condition.by_field().items() if value is not None}
    row = condition | {"frequency": observation.frequency, "seed": observation.seed, "fact_set": observation.fact_set}
    if observation.correct is None:
        return row | {"retention": observation.retention}
    return row | {
        "correct": observation.correct,
        "num_questions": observation.num_questions,
        "num_choices": observation.num_choices,
    }


def _observation(path: Path, line: int, row: dict[str, Any]) -> Observation:
    where = f"{path}, line {line}"

    def read(column: str, parse: Callable[[Any], Any], *, required: bool = False) -> Any:
        value = row.get(column)
        if value is None or (isinstance(value, str) and not value.strip()):
            if required:
                raise DataError("this value is missing.", where=where, key=column)
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise DataError(f"{error}.", where=where, key=column, value=value) from None

    def text(value: Any) -> str:
        return str(value).strip()

    fact_set = read("fact_set", text) or ""
    if fact_set and fact_set not in fact_sets.NAMES:
        raise DataError(
            "no such fact set.",
            where=where,
            key="fact_set",
            value=fact_set,
            mend=f"Known: {', '.join(fact_sets.NAMES)}, or empty.",
        )
    num_questions, num_choices = read("num_questions", _positive), read("num_choices", parse_number)
    correct, accuracy, retention = read("correct", parse_count), read("accuracy", _share), read("retention", _retention)
    if (correct is not None or accuracy is not None) and num_questions and num_choices:
        if num_choices < 2:
            raise DataError("expected two choices or more.", where=where, key="num_choices", value=num_choices)
        correct = round(accuracy * num_questions) if correct is None else correct
        if correct > num_questions:
            raise DataError(f"more than num_questions = {num_questions}.", where=where, key="correct", value=correct)
        retention = retention_of(correct / num_questions, num_choices)
    elif retention is None:
        raise DataError("this row has no result.", where=where, mend=f"A row has {_MEASURES}.")
    else:
        correct = num_questions = num_choices = None
    condition = Condition(
        num_params=read("num_params", _positive, required=True),
        num_params_total=read("num_params_total", _positive),
        num_tokens=read("num_tokens", _positive, required=True),
        templates=read("templates", _positive),
        fill=read("fill", text),
        stages=read("stages", text),
        mixture=read("mixture", text),
        num_infused_facts=read("num_infused_facts", _positive),
        ceiling_frequency=read("ceiling_frequency", _above_zero),
        other_axes={axis.field: value for axis in OTHER_AXES if (value := read(axis.field, parse_number)) is not None},
    )
    return Observation(
        condition=condition,
        frequency=read("frequency", parse_count, required=True),
        seed=read("seed", parse_seed, required=True),
        fact_set=fact_set,
        retention=retention,
        correct=correct,
        num_questions=num_questions,
        num_choices=num_choices,
        prior_exposures=read("prior_exposures", _share_or_more),
    )


def _positive(value: Any) -> int:
    number = parse_count(value)
    if number == 0:
        raise ValueError("expected a whole number above zero")
    return number


def _above_zero(value: Any) -> float:
    number = float(parse_number(value))
    if number <= 0:
        raise ValueError("expected a number above zero")
    return number


def _share_or_more(value: Any) -> float:
    number = float(parse_number(value))
    if number < 0:
        raise ValueError("expected zero or more")
    return number


def _share(value: Any) -> float:
    number = float(parse_number(value))
    if not 0 <= number <= 1:
        raise ValueError("expected a share between 0 and 1")
    return number


def _retention(value: Any) -> float:
    number = float(parse_number(value))
    if not -1 <= number <= 1:
        raise ValueError("expected a retention between −1 and 1")
    return number


def _one_type(values: list[Any]) -> list[Any]:
    """Values of a column as one type: left alone where they are, as text where rows differ."""
    types = {type(v) for v in values if v is not None}
    return values if len(types) <= 1 else [None if v is None else str(v) for v in values]


_Run = tuple[Condition, int, int]
"""Condition, frequency and seed."""


def _runs(observations: Iterable[Observation], *, simulated: bool) -> dict[_Run, str]:
    """The runs that these rows are of, in their order, each with its id."""
    runs = dict.fromkeys((o.condition, o.frequency, o.seed) for o in observations)
    return {run: f"{'simulated' if simulated else 'imported'}-{index}" for index, run in enumerate(runs)}


def read_scores(folder: SweepFolder, plan: Plan) -> dict[str, dict[str, float]]:
    """Retention by run and fact set, `overall` included, of an imported or simulated sweep."""
    observations = read_imported(folder)
    run_ids = _runs(observations, simulated=plan.simulated)
    scores: dict[str, dict[str, float]] = {}
    for curve in gather(observations):
        for o in curve.observations:
            scores.setdefault(run_ids[o.condition, o.frequency, o.seed], {})[curve.fact_set] = o.retention
    return scores


def _plan(observations: Iterable[Observation], name: str, *, simulated: bool) -> Plan:
    cells = tuple(
        PlannedCell(
            run_id=run_id,
            model=f"N={condition.num_params}",
            num_params=condition.num_params,
            num_params_total=condition.num_params_total,
            num_tokens=condition.num_tokens,
            frequency=frequency,
            num_templates=condition.templates or 1,
            seed=seed,
            total_tokens=None,
            train_flops=None,
            memory_bytes=None,
            other_axes=condition.other_axes,
        )
        for (condition, frequency, seed), run_id in _runs(observations, simulated=simulated).items()
    )
    return Plan(
        sweep=name,
        simulated=simulated,
        imported=not simulated,
        estimated=False,
        evaluation_id="",
        facts_id="",
        tokens_id="",
        fill="",
        mixture="",
        stages=None,
        num_infused_facts=None,
        num_prior_facts=None,
        num_choices=0,
        vocab_size=None,
        tokens_per_fact=None,
        prior_exposures=None,
        background_tokens=None,
        ceilings=(),
        analysis=PlannedAnalysis(),
        cells=cells,
    )
