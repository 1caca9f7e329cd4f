"""`kitui export` and `kitui export-model`: results as a table, a run's weights as a folder that transformers loads."""

from __future__ import annotations

import csv
import io
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from engine.analysis.curves import Results, sweep_observations
from engine.analysis.import_rows import row_of
from engine.analysis.imports import read_imported
from engine.control.ledger.state_file import read_state
from engine.control.transport.base import Transport, UnreachableError
from engine.control.transport.registry import transport_to
from engine.errors import DataError, LaunchError, SpecError, nearest
from engine.records.bundle import read_section
from engine.records.hosts import known_host
from engine.records.seals import check_manifest
from engine.records.states import LOCAL
from engine.records.workspace import Workspace
from engine.spec.runspec import RunSpec
from kitui.services.sweeps import known_run, known_sweep

FORMATS = ("csv", "parquet", "json")


def export_results(workspace: Workspace, sweep: str, to: str, output: Path | None) -> str:
    """Write one row a run and fact set, in the columns that `kitui import` reads. What was done, in words;
    nothing of what went to standard output."""
    if to not in FORMATS:
        raise SpecError("no such format.", key="--to", value=to, mend=nearest(to, FORMATS))
    if to == "parquet" and output is None:
        raise SpecError("a Parquet file cannot go to the terminal.", key="--output", mend="Give -o FILE.")
    name, folder, plan = known_sweep(workspace, sweep)
    observations = read_imported(folder) if folder.results.exists() else sweep_observations(plan, Results(workspace))[0]
    rows = [row_of(o) | ({"simulated": True} if plan.simulated else {}) for o in observations]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if to == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({c: [row.get(c) for row in rows] for c in columns}), output)
    else:
        content = _csv(rows, columns) if to == "csv" else b"".join(orjson.dumps(row) + b"\n" for row in rows)
        if output is None:
            sys.stdout.buffer.write(content)
            return ""
        output.write_bytes(content)
    return f"{len(rows):,} rows of {name} written to {output}"


def _csv(rows: Sequence[Mapping[str, object]], columns: list[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def export_run(workspace: Workspace, run: str, target: Path) -> str:
    """Copy a run's last weights, its tokenizer and where they come from; of a run that another host trained, from
    there. What was done, in words. DataError where no weights were kept."""
    run_id = known_run(workspace, run)
    spec = read_section(RunSpec, workspace.run(run_id).spec)
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise DataError("it exists and is not an empty folder.", value=str(target), mend="Choose another.")
    with tempfile.TemporaryDirectory(prefix="kitui-") as scratch:
        step, files = _kept_files(workspace, run_id, spec, Path(scratch))
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy2(file, target)
    origin = spec.model_dump(mode="json") | {"step": step}
    (target / "kitui_run.json").write_bytes(orjson.dumps(origin, option=orjson.OPT_INDENT_2))
    return f"{run_id} after step {step} written to {target}"


def _kept_files(workspace: Workspace, run_id: str, spec: RunSpec, scratch: Path) -> tuple[int, list[Path]]:
    """The step of a run's last weights, with their files and the tokenizer's, fetched from its host if need be."""
    run = read_state(workspace).runs.get(run_id)
    host = run.host if run is not None else LOCAL
    latest, checkpoints = f"runs/{run_id}/latest", f"runs/{run_id}/checkpoints"
    tokenizer = [f"tokens/{spec.tokens_id}/{name}" for name in ("tokenizer.json", "tokenizer_config.json")]
    root = workspace.root if host == LOCAL else scratch
    if host != LOCAL:
        transport = transport_to(known_host(workspace, host))
        try:
            _fetch(transport, latest, root)
            step = (root / latest).read_text(errors="replace").strip()
            if not step.isdigit():  # a host names no other path
                raise LaunchError("not a step.", value=step)
            for name in (f"{checkpoints}/{step}", *tokenizer):
                _fetch(transport, name, root)
        except UnreachableError:
            raise
        except LaunchError:  # it is not there: said below
            pass
    step = (root / latest).read_text().strip() if (root / latest).exists() else ""
    files = [root / checkpoints / step / name for name in ("config.json", "model.safetensors")]
    files += [root / name for name in tokenizer]
    if not step.isdigit() or not all(file.exists() for file in files):
        raise DataError(
            "no weights were kept of this run." if host == LOCAL else f"its weights cannot be had from {host}.",
            where=str(workspace.run(run_id).root),
            mend='Set execution.keep_weights = "last" and train again, or wait for its end.',
        )
    check_manifest(root / checkpoints / step)
    return int(step), files


def _fetch(transport: Transport, name: str, root: Path) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    transport.fetch(name, (root / name).parent)
