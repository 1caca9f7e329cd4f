"""The command line. Every screen has its headless twin here; imports are lazy, so that help and status are quick."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from kitui.cli.base import OpenApp, Session, WorkspaceOption, app, session_of, workspace_of

# In the order in which the help lists their commands.
# isort: off
from kitui.cli import running
from kitui.cli import laws
from kitui.cli import results
from kitui.cli import machine
# isort: on

__all__ = ["laws", "machine", "results", "run", "running"]


def run(open_app: OpenApp) -> None:
    """Obey the command line. `open_app` opens the terminal app; this room does not know it."""
    app(obj=Session(open_app))


@app.callback(invoke_without_command=True)
def main_command(
    context: typer.Context,
    workspace: WorkspaceOption = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="The app without its commands: only look.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    context.obj = session_of(context)._replace(workspace=workspace)
    if version:
        from importlib.metadata import version as installed_version

        print(f"kitui {installed_version('kitui')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        if not (sys.stdout.isatty() or os.environ.get("TEXTUAL_DRIVER")):  # the latter is set in a browser
            print(context.get_help())
            raise typer.Exit
        session_of(context).open_app(workspace_of(context, None), None, read_only)
