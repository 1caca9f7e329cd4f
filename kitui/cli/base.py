"""What all commands share: the program's options, the workspace, and how orders are given to the supervisor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer

from engine.spec.fact_sets import NAMES

if TYPE_CHECKING:  # help is printed without it
    from engine.records.workspace import Workspace

OpenApp = Callable[["Workspace", str | None, bool], None]
"""Opens the terminal app on a workspace, on one sweep of it or on none, read-only or not."""

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
SlotsOption = Annotated[int | None, typer.Option("--slots", min=1, max=10_000, help="Runs at once.", metavar="N")]
ManyOption = Annotated[bool, typer.Option("--yes-many", help="A grid of more than 100,000 cells is meant.")]
NamesArgument = Annotated[list[str], typer.Argument(metavar="SWEEP|RUN...", help="Names of sweeps, ids of runs.")]
SweepsArgument = Annotated[list[str], typer.Argument(metavar="SWEEP...", help="Names of sweeps.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="OURS=THEIRS",
        help="Its name in the table, as num_params=config.N, or its one value, as num_tokens=1B; may be given again.",
    ),
]
MeasureOption = Annotated[
    str, typer.Option("--measure", help="retention, or logprob (less that of unseen facts).", metavar="MEASURE")
]
CheckpointsOption = Annotated[
    int, typer.Option("--checkpoints", min=1, max=1_000, help="Mean over each run's last N scorings.", metavar="N")
]
FactSetOption = Annotated[
    str, typer.Option("--fact-set", help=f"{', '.join(NAMES)}; or all, side by side.", metavar="SET")
]


class Session(NamedTuple):
    """What the commands of one call of the program share: typer's `context.obj`."""

    open_app: OpenApp
    workspace: Path | None = None
    """As the program's own option gave it."""


def session_of(context: typer.Context) -> Session:
    return cast("Session", context.obj)


def workspace_of(context: typer.Context, given: Path | None) -> Workspace:
    """The workspace: the command's option, the program's, the environment's, the user's data folder."""
    from engine.records.workspace import Workspace
    from kitui.services.sweeps import default_workspace

    return Workspace(given or session_of(context).workspace or default_workspace())


def order(workspace: Workspace, verb: str, names: list[str], **details: object) -> None:
    from kitui.cli.asking import with_current_supervisor
    from kitui.cli.console import note
    from kitui.services.orders import give

    note(with_current_supervisor(workspace, lambda: give(workspace, verb, names, **details)))
