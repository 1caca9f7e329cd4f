"""What a shell completes: names of sweeps, ids of runs, sweep files. Errors mean that nothing is offered."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from engine.records.workspace import Workspace


def complete_sweeps(context: typer.Context, incomplete: str) -> list[str]:
    """Sweeps of the workspace, and sweep files."""
    return _beginning(incomplete, [*_sweeps(context), *_files(incomplete)])


def complete_runs(context: typer.Context, incomplete: str) -> list[str]:
    return _beginning(incomplete, _runs(context))


def complete_names(context: typer.Context, incomplete: str) -> list[str]:
    """Sweeps first; runs once a letter of them is typed, for there may be thousands."""
    return _beginning(incomplete, [*_sweeps(context), *(_runs(context) if incomplete else [])])


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _workspace(context: typer.Context) -> Workspace:
    """As the command line typed so far, or else the environment, names it."""
    from engine.records.workspace import Workspace
    from kitui.services.sweeps import default_workspace

    of_program = context.parent.params.get("workspace") if context.parent else None
    return Workspace(context.params.get("workspace") or of_program or default_workspace())


def _sweeps(context: typer.Context) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(_workspace(context).sweep_names())
    return []


def _runs(context: typer.Context) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(_workspace(context).run_ids())
    return []


def _files(incomplete: str) -> list[str]:
    """Sweep files, and folders to go into, as the shell has them."""
    folder = Path(incomplete).expanduser().parent if not incomplete.endswith("/") else Path(incomplete).expanduser()
    typed = incomplete.rpartition("/")
    with contextlib.suppress(OSError):
        found = sorted(p for p in folder.iterdir() if p.suffix == ".toml" or (p.is_dir() and p.name[0] != "."))
        return [f"{typed[0]}{typed[1]}{path.name}{'/' if path.is_dir() else ''}" for path in found]
    return []
