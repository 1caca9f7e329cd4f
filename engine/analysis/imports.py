"""Results trained elsewhere (or simulated), as a sweep of their own: `results.parquet` beside a plan without runs.

One row a run and fact set, or one a run with a column for each set. What the columns mean stands in docs/formats.md;
columns that are not known are kept, and those of other names can be mapped.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine.analysis.collapse import Collapse
from engine.analysis.curves import Observation, gather, with_common_ceilings
from engine.analysis.given_points import POINT_COLUMN
from engine.analysis.import_rows import MEASURES, given_point, observations_of
from engine.errors import DamageError, DataError, KituiError, together
from engine.records.conditions import Condition
from engine.records.plan import Plan, PlannedAnalysis, PlannedCell, TruePoint
from engine.records.record import write_record
from engine.records.seals import check_manifest, write_manifest
from engine.records.workspace import SweepFolder, Workspace
from engine.spec import fact_sets
from engine.spec.axes import OTHER_AXES
from engine.spec.names import check_name
from engine.spec.numbers import format_count, parse_number
from engine.spec.tables import columns_of, mapped, read_rows

REQUIRED = ("num_params", "num_tokens", "frequency")
REQUIRED_OF_POINTS = ("num_params", POINT_COLUMN)
_NAMES_A_CELL = (*Condition.__struct_fields__, *(axis.field for axis in OTHER_AXES), "frequency", "fact_set")
_TEXTS = {"fill": ("infused", "neutral"), "mixture": ("displace", "append"), "fact_set": fact_sets.NAMES}
_KNOWN_COLUMNS = frozenset({
    *_NAMES_A_CELL, "model", *REQUIRED_OF_POINTS, *fact_sets.NAMES, "seed", "correct", "accuracy", "retention",
    "num_questions", "num_choices", "prior_exposures", "infused_share", "lower", "upper", "simulated",
}) - {"other_axes"}  # fmt: skip


class Imported(NamedTuple):
    """What was taken in. `num_empty`: rows of runs that have no result, as crashed ones leave them."""

    folder: SweepFolder
    num_rows: int
    num_empty: int


def import_table(
    path: Path, name: str, workspace: Workspace, *, columns: Mapping[str, str] | None = None, replace: bool = False
) -> Imported:
    """Read a table of results and keep it as the sweep `name`. `columns`: what some of our columns are called there, or
    the one value that they have. DataError names line, column and value of each bad row, and then nothing is
    imported."""
    check_name(name, key="--name")
    theirs, constants = mapped(columns or {}, columns_of(path, key="TABLE"), _KNOWN_COLUMNS, _TEXTS)
    is_of_points = POINT_COLUMN in theirs or POINT_COLUMN in columns_of(path, key="TABLE")
    required = [c for c in (REQUIRED_OF_POINTS if is_of_points else REQUIRED) if c not in constants]
    rows, observations, faults, num_empty = [], [], [], 0
    line_of: dict[tuple[Any, ...], int] = {}
    repeats: Counter[tuple[Any, ...]] = Counter()
    for line, whole in read_rows(path, key="TABLE", required=[theirs.get(c, c) for c in required]):
        row = {**whole, **{ours: whole.get(column) for ours, column in theirs.items()}, **constants}
        if "seed" not in row:  # rows that agree in all but their results are repetitions
            cell = tuple(_plain(row.get(c)) for c in _NAMES_A_CELL)
            row["seed"] = repeats[cell]
            repeats[cell] += 1
        try:
            if is_of_points:
                given_point(path, line, row)
                rows.append(row)
                continue
            found = observations_of(path, line, row)
        except DataError as error:
            faults.append(error)
            continue
        if not found:
            num_empty += 1
            continue
        for observation in found:
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
        observations.extend(found)
    if faults:
        raise together(faults)
    if not rows:
        words = "no row has a result." if num_empty else "there are no rows in this table."
        raise DataError(words, where=str(path), mend=f"A row has {MEASURES}." if num_empty else "")
    # An exported simulation stays one.
    simulated = any(str(row.get("simulated")).lower() in ("true", "1") for row in rows)
    observations = with_common_ceilings(observations)
    folder = write_sweep(observations, rows, name, workspace, simulated=simulated, replace=replace)
    return Imported(folder, len(rows), num_empty)


def _plain(value: Any) -> float | str:
    """A value as it is meant: 1, 1.0 and "1" are one."""
    try:
        return float(parse_number(value))
    except ValueError:
        return str(value).strip()


def write_sweep(
    observations: list[Observation],
    rows: list[dict[str, Any]],
    name: str,
    workspace: Workspace,
    *,
    simulated: bool,
    replace: bool,
    truth: tuple[TruePoint, ...] = (),
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
        plan = _plan(observations, name, simulated=simulated)
        write_record(building.plan, msgspec.structs.replace(plan, truth=truth))
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
    if POINT_COLUMN in columns_of(path, key="results"):
        return []
    rows = read_rows(path, key="results", required=REQUIRED)
    return with_common_ceilings(o for line, row in rows for o in observations_of(path, line, row))


def read_given_points(folder: SweepFolder) -> list[Collapse]:
    """The collapse points of a sweep that was imported as a table of those; none of any other."""
    path = folder.results
    if POINT_COLUMN not in columns_of(path, key="results"):
        return []
    rows = read_rows(path, key="results", required=REQUIRED_OF_POINTS)
    return [given_point(path, line, row) for line, row in rows]


def _one_type(values: list[Any]) -> list[Any]:
    """Values of a column as one type: left alone where they are, as text where rows differ."""
    types = {type(v) for v in values if v is not None}
    return values if len(types) <= 1 else [None if v is None else str(v) for v in values]


_Run = tuple[Condition, float, int]
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
            model=format_count(condition.num_params),
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
