"""What all commands share: the program's options, the workspace, and how orders are given to the supervisor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer
from typer.core import TyperGroup

from engine.spec.fact_sets import NAMES
from kitui.cli.completion import complete_names, complete_runs, complete_sweeps

if TYPE_CHECKING:  # help is printed without it
    from engine.records.workspace import Workspace

OpenApp = Callable[["Workspace", str | None, bool], None]
"""Opens the terminal app on a workspace, on one sweep of it or on none, read-only or not."""


class Commands(TyperGroup):
    """The commands; another word is a sweep, to be opened in the app."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if args[0] in self.commands or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        return "open", self.commands["open"], args


app = typer.Typer(
    name="kitui",
    cls=Commands,
    help="Find out how often to write facts into a pre-training corpus: sweeps, retention curves, collapse points and "
    "the infusion law, in the terminal.",
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
SweepNameArgument = Annotated[
    str, typer.Argument(metavar="SWEEP", help="The name of a launched sweep.", autocompletion=complete_sweeps)
]
SweepArgument = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP", help="A sweep file, or the name of a launched sweep.", autocompletion=complete_sweeps
    ),
]
OptionalSweepArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[SWEEP]", help="A sweep file, or the name of a launched sweep.", autocompletion=complete_sweeps
    ),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.", autocompletion=complete_runs)
]
FileArgument = Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="A sweep file.")]
SlotsOption = Annotated[int | None, typer.Option("--slots", min=1, max=10_000, help="Runs at once.", metavar="N")]
ManyOption = Annotated[bool, typer.Option("--yes-many", help="A grid of more than 100,000 cells is meant.")]
NamesArgument = Annotated[
    list[str],
    typer.Argument(metavar="SWEEP|RUN...", help="Names of sweeps, ids of runs.", autocompletion=complete_names),
]
SweepsArgument = Annotated[
    list[str], typer.Argument(metavar="SWEEP...", help="Names of sweeps.", autocompletion=complete_sweeps)
]
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
WhereOption = Annotated[
    str | None, typer.Option("--where", help='Only these conditions, such as "templates=1".', metavar="EXPR")
]


class Session(NamedTuple):
    """What the commands of one call of the program share: typer's `context.obj`."""

    open_app: OpenApp
    workspace: Path | None = None
    """As the program's own option gave it."""
    read_only: bool = False


def session_of(context: typer.Context) -> Session:
    return cast("Session", context.obj)


def workspace_of(context: typer.Context, given: Path | None) -> Workspace:
    """The workspace: the command's option, the program's, the environment's, the user's data folder."""
    from engine.records.workspace import Workspace
    from kitui.services.sweeps import default_workspace

    return Workspace(given or session_of(context).workspace or default_workspace())


def workspace_to_look_at(context: typer.Context, given: Path | None) -> Workspace:
    """The workspace, for those who only look. SpecError where an option names one that is not there; that of the
    environment may be named before there is anything in it."""
    from kitui.services.sweeps import check_is_there

    found = workspace_of(context, given)
    if given or session_of(context).workspace:
        check_is_there(found)
    return found


def order(workspace: Workspace, verb: str, names: list[str], **details: object) -> None:
    from kitui.cli.asking import with_current_supervisor
    from kitui.cli.console import note
    from kitui.services.orders import give

    note(with_current_supervisor(workspace, lambda: give(workspace, verb, names, **details)))
