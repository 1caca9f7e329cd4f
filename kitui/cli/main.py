"""The command line. Every screen has its headless twin here; imports are lazy, so that help and status are quick."""

from __future__ import annotations

import os
import re
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from engine.errors import SpecError, near
from kitui.cli.base import (
    OpenApp,
    Session,
    SweepArgument,
    WorkspaceOption,
    app,
    session_of,
    workspace_of,
    workspace_to_look_at,
)

# In the order in which the help lists their commands.
# isort: off
from kitui.cli import running
from kitui.cli import laws
from kitui.cli import results
from kitui.cli import machine
# isort: on

__all__ = ["laws", "machine", "results", "run", "running"]


def run(open_app: OpenApp) -> None:
    """Obey the command line. `open_app` opens the terminal app; this room does not know it. SpecError for what no
    command understands."""
    try:
        code = app(obj=Session(open_app), standalone_mode=False)
    except TyperException as error:
        raise _in_our_words(error) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _in_our_words(error: TyperException) -> SpecError:
    """A fault in how a command was called, told as all others are."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    mend = f"{context.command_path} --help says what it takes." if context is not None else ""
    if found := re.match(r"No such option: (\S+)", message):
        meant = near(found[1], getattr(error, "possibilities", None) or ())
        return SpecError("no such option.", key=found[1], mend=f"{meant} {mend}".strip())
    if found := re.match(r"Missing \w+ '(?:\[)?([^']*?)\.*(?:\])?'", message):
        return SpecError("is missing.", key=found[1], mend=mend)
    if found := re.match(r"Invalid value for '(?:\[)?([^']*?)\.*(?:\])?': (.*)", message, re.DOTALL):
        return SpecError(_sentence(found[2].replace("Input should be", "expected a value")), key=found[1], mend=mend)
    return SpecError(_sentence(message), mend=mend)


def _sentence(words: str) -> str:
    return f"{words[:1].lower()}{words[1:].rstrip('.')}."


@app.callback(invoke_without_command=True)
def main_command(
    context: typer.Context,
    workspace: WorkspaceOption = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="The app without its commands: only look.")] = False,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> None:
    context.obj = session_of(context)._replace(workspace=workspace, read_only=read_only)
    if version:
        from importlib.metadata import version as installed_version

        print(f"kitui {installed_version('kitui')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        if not (sys.stdout.isatty() or os.environ.get("TEXTUAL_DRIVER")):  # the latter is set in a browser
            print(context.get_help())
            raise typer.Exit
        session_of(context).open_app(workspace_to_look_at(context, None), None, read_only)


@app.command("open", hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def open_(context: typer.Context, sweep: SweepArgument, workspace: WorkspaceOption = None) -> None:
    """Open the app on a sweep: `kitui SWEEP`."""
    from kitui.services.sweeps import known_sweep

    found = workspace_of(context, workspace)
    try:
        name = known_sweep(found, sweep)[0]
    except SpecError as error:
        commands = context.parent.command if context.parent else None
        known = [*found.sweep_names(), *getattr(commands, "commands", ())]
        if sweep.endswith(".toml"):
            raise
        mend = f"{near(sweep, known)} kitui --help lists the commands, kitui status the sweeps.".strip()
        raise SpecError("no command, and no sweep of the workspace, has this name.", value=sweep, mend=mend) from error
    if context.args:
        raise SpecError("expected nothing after the sweep's name.", value=" ".join(context.args))
    if not sys.stdout.isatty():
        raise SpecError("the app needs a terminal.", value=sweep, mend=f"kitui status {name} says how it stands.")
    session = session_of(context)
    session.open_app(found, name, session.read_only)
