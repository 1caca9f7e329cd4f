"""Hosts, this machine, and the app in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from kitui.cli.base import JsonOption, WorkspaceOption, app, order, session_of, workspace_of
from kitui.services.orders import VERBS


@app.command()
def doctor(
    context: typer.Context,
    files: Annotated[bool, typer.Option("--files", help="Look through every file of the workspace, too.")] = False,
    mend: Annotated[bool, typer.Option("--mend", help="Have what is damaged made anew.")] = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Is this machine fit to train on, and is the workspace sound? Each step is tried; what is wrong has its mend."""
    from kitui.cli.host_list import check_this_machine

    check_this_machine(workspace_of(context, workspace), files=files or mend, mend=mend, json=json)


@app.command()
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Of the loopback address.")] = 8000,
    read_only: Annotated[bool, typer.Option("--read-only", help="Only look.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show the app in a browser of this machine, behind a token."""
    from kitui.cli.serving import serve as serve_app

    serve_app(workspace_of(context, workspace), port=port, read_only=read_only)


@app.command()
def keys(json: JsonOption = False) -> None:
    """List all keys of the app, and how to change them."""
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_keys
    from kitui.services.key_list import keys_document

    document = keys_document()
    print_json(document) if json else print_keys(document)


@app.command()
def words(json: JsonOption = False) -> None:
    """What the words of kitui mean: exposure, cell, collapse point …"""
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_words
    from kitui.services.glossary import words_document

    document = words_document()
    print_json(document) if json else print_words(document)


hosts_app = typer.Typer(
    name="hosts",
    help="The machines that runs may go to (hosts.toml in the workspace): how they stand, and whether they are fit.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(hosts_app)
HostsArgument = Annotated[list[str], typer.Argument(metavar="HOST...", help="local, or names of hosts.toml.")]


@hosts_app.callback(invoke_without_command=True)
def hosts(context: typer.Context, json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    if workspace is not None:
        context.obj = session_of(context)._replace(workspace=workspace)
    if context.invoked_subcommand is None:
        from kitui.cli.host_list import list_hosts

        list_hosts(workspace_of(context, None), json=json)


@hosts_app.command()
def check(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[HOST]...", help="These only.")] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Try each step on the hosts: reach, Python, disk, GPUs, clock, sbatch; and say what to mend."""
    from kitui.cli.host_list import check_hosts

    check_hosts(workspace_of(context, workspace), names or [], json=json)


@hosts_app.command(help=VERBS["drain"].about)
def drain(
    context: typer.Context,
    names: HostsArgument,
    now: Annotated[
        bool, typer.Option("--now", help="Runs there end after a checkpoint, and go to other hosts.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    order(workspace_of(context, workspace), "drain", names, now=now)


@hosts_app.command(help=VERBS["reopen"].about)
def reopen(context: typer.Context, names: HostsArgument, workspace: WorkspaceOption = None) -> None:
    order(workspace_of(context, workspace), "reopen", names)


@app.command("restart-supervisor")
def restart(context: typer.Context, workspace: WorkspaceOption = None) -> None:
    """Put this kitui's supervisor in the place of the one that runs, of an older kitui, say; all runs go on."""
    from engine.control.commands.queue import restart_supervisor
    from kitui.cli.console import note

    found = workspace_of(context, workspace)
    found.create()
    restart_supervisor(found)
    note("a supervisor of this kitui runs now")
