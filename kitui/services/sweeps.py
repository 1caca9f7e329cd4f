"""Finding what is meant: the workspace, a sweep by its name or file, a run by its id."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

from engine.errors import DataError, SpecError, nearest
from engine.records.plan import Plan, latest_plan
from engine.records.workspace import SweepFolder, Workspace
from engine.spec.files import as_spec_error, read_toml
from engine.spec.names import is_name


def default_workspace() -> Path:
    """The workspace that the environment names, or else the one in the user's data folder."""
    return Path(os.environ.get("KITUI_WORKSPACE") or user_data_path("kitui"))


def check_is_there(workspace: Workspace) -> None:
    """SpecError for a workspace that is not there."""
    if not workspace.root.is_dir():
        raise SpecError(
            "there is no workspace here.",
            where=str(workspace.root),
            mend="Is the name right? mkdir makes an empty one, and so does kitui launch SWEEP.toml.",
        )


def sweep_name(sweep: str) -> str:
    """The name of SWEEP, which is a sweep file or a name already."""
    path = Path(sweep)
    if path.suffix != ".toml":
        return sweep
    try:
        return str(read_toml(path).get("name", path.stem))
    except DataError as error:
        raise as_spec_error(error) from None


def known_sweep(workspace: Workspace, sweep: str) -> tuple[str, SweepFolder, Plan]:
    """A sweep of the workspace, by name or file. SpecError names the nearest one."""
    name = sweep_name(sweep)
    folder = workspace.sweep(name)
    plan = latest_plan(folder) if is_name(name) else None
    if plan is None:
        known = workspace.sweep_names()
        mend = nearest(name, known) if known else "There is none yet: kitui launch SWEEP.toml, or kitui demo."
        raise SpecError("no sweep of this name in the workspace.", where=str(workspace.root), value=name, mend=mend)
    return name, folder, plan


def known_run(workspace: Workspace, run: str) -> str:
    """The run of that id, or the only one whose id begins so. SpecError otherwise."""
    ids = sorted(workspace.run_ids())
    matching = [i for i in ids if i == run] or [i for i in ids if i.startswith(run)]
    if len(matching) != 1:
        what = f"{len(matching)} runs begin so." if matching else "no run has this id."
        mend = nearest(run, (matching or ids)[:20]) if ids else "None has been started yet."
        raise SpecError(what, where=str(workspace.root), value=run, mend=mend)
    return matching[0]
