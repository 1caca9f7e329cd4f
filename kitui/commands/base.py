"""What all commands share: the program's options, the workspace, and how orders are given to the supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="kitui",
    help="Find out how often to write facts into a pre-training corpus: sweeps, retention curves, collapse points and "
    "the infusion law, in the terminal.",
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", help="The folder with all sweeps and runs.  [env: KITUI_WORKSPACE]", metavar="DIR"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")]
SweepNameArgument = Annotated[str, typer.Argument(metavar="SWEEP", help="The name of a launched sweep.")]
SweepArgument = Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep file, or the name of a launched sweep.")]
FileArgument = Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="A sweep file.")]
SlotsOption = Annotated[int | None, typer.Option("--slots", min=1, help="Runs at once.", metavar="N")]
NamesArgument = Annotated[list[str], typer.Argument(metavar="SWEEP|RUN...", help="Names of sweeps, ids of runs.")]
SweepsArgument = Annotated[list[str], typer.Argument(metavar="SWEEP...", help="Names of sweeps.")]
FactSetOption = Annotated[
    str, typer.Option("--fact-set", help="overall, prior, infused, verbatim or unseen.", metavar="SET")
]


def workspace_of(context: typer.Context, given: Path | None) -> Any:
    """The workspace: the command's option, the program's, the environment's, the user's data folder."""
    from engine.records.workspace import Workspace
    from kitui.sweeps import default_workspace

    return Workspace(given or context.obj or default_workspace())


def order(workspace: Any, command: str, names: list[str], **details: Any) -> None:
    from engine.control.commands import submit
    from engine.errors import SpecError
    from kitui.answers import answer_words
    from kitui.console import note

    if not workspace.root.is_dir():
        raise SpecError(
            "there is no workspace here.", where=str(workspace.root), mend="kitui launch SWEEP.toml makes one."
        )
    note(answer_words(command, submit(workspace, {"command": command, "names": names} | details)))
