"""What commands and screens need of a sweep: finding it, planning it, launching it, its law."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from platformdirs import user_data_path

from engine.control.commands.queue import submit
from engine.errors import KituiError, LaunchError, SpecError, nearest
from engine.records.record import decoded, encoded, plain
from engine.records.results import Plan, latest_plan, results_digest
from engine.records.workspace import SweepFolder, Workspace, read_json

if TYPE_CHECKING:
    from engine.records.bundle import SweepBundle

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def default_workspace() -> Path:
    return Path(os.environ.get("KITUI_WORKSPACE") or user_data_path("kitui"))


def sweep_name(sweep: str) -> str:
    """The name of SWEEP, which is a sweep file or a name already."""
    path = Path(sweep)
    if path.suffix != ".toml":
        return sweep
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8-sig")).get("name", path.stem))
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}.", where=sweep) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"not valid TOML: {error}.", where=sweep) from None


def known_sweep(workspace: Workspace, sweep: str) -> tuple[str, SweepFolder, Plan]:
    """A sweep of the workspace, by name or file. SpecError names the nearest one."""
    name = sweep_name(sweep)
    folder = workspace.sweep(name)
    plan = latest_plan(folder)
    if plan is None:
        known = workspace.sweep_names()
        mend = nearest(name, known) if known else "There is none yet: kitui launch SWEEP.toml, or kitui demo."
        raise SpecError("no sweep of this name in the workspace.", where=str(workspace.root), value=name, mend=mend)
    return name, folder, plan


def known_plan(workspace: Workspace, sweep: str) -> Plan:
    return known_sweep(workspace, sweep)[2]


def plan_sweep(path: Path, workspace: Workspace) -> SweepBundle:
    """Everything about a sweep file, by the corpus command. Raises what it found wrong."""
    if not path.is_file():
        raise SpecError("there is no such sweep file.", value=str(path), mend="kitui init writes one.")
    from engine.records.bundle import SweepBundle  # settings come with pydantic, which viewers do without

    output = _run(["engine.corpus.prepare", "plan", str(path), "--workspace", str(workspace.root)])
    return decoded(SweepBundle, output)


def launch(
    workspace: Workspace, bundle: SweepBundle, slots: int | None, hosts: list[str] | None = None, **asked: Any
) -> dict[str, Any]:
    """Hand a planned sweep to the supervisor, starting one if need be. Returns its answer. Without `hosts` its runs
    stay on this machine. `asked`: its priority, and caps by host in GPU-hours."""
    return submit(workspace, {"command": "launch", "bundle": plain(bundle), "slots": slots, "hosts": hosts} | asked)


def analysis(
    workspace: Workspace, sweep: str, fact_set: str = "overall", *, target_retention: float | None = None
) -> dict[str, Any]:
    """The sweep's analysis document: law.json where it is current, else the fit command's."""
    _, folder, plan = known_sweep(workspace, sweep)
    if fact_set == "overall" and target_retention in (None, plan.analysis.target_retention):
        document = read_json(folder.law)
        if document is not None and document["inputs"] == results_digest(plan, folder, workspace):
            return dict(document)
    target = [] if target_retention is None else ["--target-retention", str(target_retention)]
    output = _run(["engine.analysis.fit", str(folder.root), "--fact-set", fact_set, *target])
    return dict(orjson.loads(output))


def probe(workspace: Workspace, bundle: SweepBundle) -> dict[str, Any]:
    """This machine's training speed at the sweep's shapes, measured unless it has been."""
    return dict(orjson.loads(_run(["engine.training.probe", str(workspace.root)], encoded(bundle))))


def run_cli(workspace: Workspace, arguments: list[str]) -> tuple[dict[str, Any] | None, str]:
    """A kitui command's JSON document, or what it said instead. For screens: SciPy stays out of the app's process."""
    argv = [sys.executable, "-m", "kitui", *arguments, "--json", "--workspace", str(workspace.root)]
    done = subprocess.run(argv, capture_output=True, env=os.environ | _ONE_THREAD, check=False)
    try:
        return dict(orjson.loads(done.stdout)), ""
    except orjson.JSONDecodeError:
        return None, done.stderr.decode(errors="replace").strip().removeprefix("error: ")


def _run(arguments: list[str], given: bytes | None = None) -> bytes:
    """Run an engine command; its standard output, or the error it found."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], input=given, capture_output=True, env=os.environ | _ONE_THREAD, check=False
    )
    if done.returncode == 0:
        return done.stdout
    try:
        error = orjson.loads(done.stdout)
    except orjson.JSONDecodeError:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        what = f"{arguments[0]} failed: {last[-1] if last else f'exit code {done.returncode}'}"
        raise LaunchError(what, mend="Please report this.") from None
    raise KituiError.from_json(error)
