"""Planning, launching and watching sweeps, and what is done with their runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kitui.cli.base import (
    FileArgument,
    JsonOption,
    ManyOption,
    NamesArgument,
    OptionalSweepArgument,
    RunArgument,
    SlotsOption,
    SweepArgument,
    SweepNameArgument,
    SweepsArgument,
    WorkspaceOption,
    app,
    order,
    session_of,
    workspace_of,
    workspace_to_look_at,
)
from kitui.cli.completion import complete_runs, complete_sweeps
from kitui.services.orders import VERBS, Verb


@app.command()
def demo(
    context: typer.Context,
    headless: Annotated[bool, typer.Option("--headless", help="Progress as plain text, then the summary.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Train the sample laptop sweep in a workspace of its own, to the summary (about 8 minutes on 2 cores)."""
    from engine.records.workspace import Workspace
    from kitui.cli.watch import run_demo
    from kitui.services.sweeps import default_workspace

    session = session_of(context)
    folder = Workspace(workspace or session.workspace or default_workspace() / "demo")
    run_demo(folder, session.open_app if not headless and sys.stdout.isatty() else None)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file to write.")] = Path("sweep.toml"),
) -> None:
    """Write a commented sweep to start from, with sample facts and templates beside it."""
    from kitui.cli.console import note
    from kitui.services.initial import write_initial_sweep

    write_initial_sweep(file)
    note(f"{file} written, with facts.jsonl and templates.toml beside it: kitui plan {file}")


@app.command()
def plan(
    context: typer.Context,
    sweep: FileArgument,
    many: ManyOption = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Say what a sweep will take: cells, tokens, ceiling, FLOPs, GPU-hours, time, disk, memory. Trains nothing."""
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_plan
    from kitui.services.planning import plan_document

    document = plan_document(sweep, workspace_of(context, workspace), many=many)
    print_json(document) if json else print_plan(document)


@app.command()
def show(
    context: typer.Context,
    sweep: FileArgument,
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, max=10_000, help="Facts of each set.", metavar="N")
    ] = 2,
    containing: Annotated[
        str, typer.Option("--containing", help="Only facts in which this text stands.", metavar="TEXT")
    ] = "",
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show what a sweep will write and ask, token by token, the right answers marked, and what is left out and why."""
    from kitui.cli.console import out, print_json
    from kitui.services.showing import show_sweep, shown_lines

    document = show_sweep(sweep, workspace_of(context, workspace), number=number, containing=containing)
    if json:
        print_json(document)
        return
    for line in shown_lines(document):
        out().print(line, soft_wrap=True)


@app.command()
def launch(
    context: typer.Context,
    sweep: FileArgument,
    host: Annotated[
        list[str] | None, typer.Option("--host", help="Where to train: local, or of hosts.toml.", metavar="NAME")
    ] = None,
    slots: SlotsOption = None,
    priority: Annotated[
        int | None,
        typer.Option(
            "--priority", min=-999, max=999, help="A higher number's runs start first; 0 by default.", metavar="N"
        ),
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option("--cap", help="GPU-hours on a host at most, or a cost: gpu1=20, gpu1=$50.", metavar="HOST=HOURS"),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch/--detach", help="Stay and show progress, or return at once.")] = False,
    many: ManyOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Queue a sweep's runs; they go on without this terminal. Cells trained before are not trained again."""
    from kitui.cli.watch import launch_sweep

    launch_sweep(
        workspace_of(context, workspace),
        sweep,
        hosts=host or ["local"],
        slots=slots,
        priority=priority,
        caps=cap,
        watch=watch,
        many=many,
    )


@app.command()
def watch(
    context: typer.Context,
    sweep: OptionalSweepArgument = None,
    once: Annotated[bool, typer.Option("--once", help="Print how things stand and return.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Sentences, a line each, and nothing redrawn: for screen readers.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show live progress as plain text until the sweeps have ended."""
    from kitui.cli.watch import watch_sweeps

    watch_sweeps(workspace_to_look_at(context, workspace), sweep, once=once, plain=plain)


@app.command()
def status(
    context: typer.Context,
    sweep: OptionalSweepArgument = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show the state of everything, quickly."""
    from engine.records.status import status_json
    from kitui.cli.console import print_json
    from kitui.cli.status_table import print_status
    from kitui.services.report import status_document

    document = status_document(workspace_to_look_at(context, workspace), sweep)
    print_json(status_json(document)) if json else print_status(document)


@app.command()
def runs(
    context: typer.Context,
    sweep: SweepArgument,
    where: Annotated[
        str | None, typer.Option("--where", help='Only these, such as "params>10k and state=running".')
    ] = None,
    sort: Annotated[str | None, typer.Option("--sort", help="A column; -COLUMN for descending.", metavar="KEY")] = None,
    by_seed: Annotated[
        bool, typer.Option("--by-seed/--mean", help="One line a run, or a cell's mean over seeds.")
    ] = True,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List a sweep's runs with their scores."""
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_runs
    from kitui.services.runs import runs_document, runs_of
    from kitui.services.sweeps import sweep_name

    rows = runs_of(workspace_of(context, workspace), sweep, where=where, sort=sort, by_seed=by_seed)
    if json:
        print_json(runs_document(sweep_name(sweep), rows, by_seed=by_seed))
    else:
        print_runs(rows, by_seed=by_seed)


@app.command()
def logs(
    context: typer.Context,
    run: RunArgument,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print a run's log and events."""
    from kitui.cli.log import print_log

    print_log(workspace_of(context, workspace), run, follow=follow)


@app.command()
def run(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(metavar="RUN [RUN...]", help="Ids, or how they begin.", autocompletion=complete_runs),
    ],
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print what is known of a run: settings, attempts, exposures, scores; of several, only what differs."""
    from kitui.cli.console import out, print_json
    from kitui.services.run_page import differing_table, run_document, run_parts, runs_json
    from kitui.services.sweeps import known_run

    found = workspace_of(context, workspace)
    documents = [run_document(found, known_run(found, name)) for name in names]
    if json:
        print_json(documents[0] if len(documents) == 1 else runs_json(documents))
    elif len(documents) == 1:
        for part in run_parts(documents[0]):
            out().print(part, "")
    else:
        out().print(differing_table(documents))


def _add_command(verb: Verb) -> None:
    """The command of a verb that takes names of sweeps and runs, and nothing else."""

    def command(context: typer.Context, names: NamesArgument, workspace: WorkspaceOption = None) -> None:
        order(workspace_of(context, workspace), verb.name, names)

    app.command(verb.name, help=verb.about)(command)


for _verb in VERBS.values():
    if _verb.takes_names_only:
        _add_command(_verb)


@app.command()
def verify(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SWEEP]...", help="Sweeps by name; all by default.", autocompletion=complete_sweeps),
    ] = None,
    mend: Annotated[bool, typer.Option("--mend", help="Have what is damaged made anew.")] = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Is every file that a sweep's numbers are made of what was written? Exit code 3 where one is not."""
    from kitui.cli.verifying import verify_sweeps

    verify_sweeps(workspace_of(context, workspace), names or [], mend=mend, json=json)


@app.command(help=VERBS["archive"].about)
def archive(
    context: typer.Context,
    names: SweepsArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Back into the lists.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    order(workspace_of(context, workspace), "archive", names, archived=not undo)


@app.command(help=VERBS["delete"].about)
def delete(
    context: typer.Context,
    names: SweepsArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    for_good: Annotated[bool, typer.Option("--for-good", help="At once, and not into the trash.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    found = workspace_of(context, workspace)
    if not yes:
        if not sys.stdin.isatty():
            from engine.errors import SpecError

            raise SpecError("nothing is deleted without a question.", key="--yes", mend="Give --yes in a script.")
        from kitui.cli.asking import confirm
        from kitui.services.deleting import deletion_words

        how = " for good" if for_good else ", to be had back within 7 days"
        confirm(f"Delete {', '.join(names)}{how}? {deletion_words(found, names)}.")
    order(found, "delete", names, for_good=for_good)


@app.command(help=VERBS["undelete"].about)
def undelete(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[SWEEP]...", help="Names of deleted sweeps.")] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    from kitui.cli.console import out, print_json
    from kitui.services.deleting import trash_document, trash_lines

    found = workspace_of(context, workspace)
    if names:
        order(found, "undelete", names)
    elif json:
        print_json(trash_document(found))
    else:
        for line in trash_lines(trash_document(found)) or ["the trash is empty"]:
            out().print(line, soft_wrap=True)


@app.command(help=VERBS["clean"].about)
def clean(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SWEEP]...",
            help="With --weights: of these sweeps; of all by default.",
            autocompletion=complete_sweeps,
        ),
    ] = None,
    weights: Annotated[bool, typer.Option("--weights", help="The weights of ended runs, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what could go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    from kitui.cli.cleaning import clean_workspace

    clean_workspace(workspace_of(context, workspace), names or [], weights=weights, dry_run=dry_run, yes=yes, json=json)


@app.command(help=VERBS["prioritise"].about)
def prioritise(
    context: typer.Context,
    sweep: SweepNameArgument,
    priority: Annotated[int, typer.Argument(metavar="N", min=-999, max=999, help="0 by default; higher starts first.")],
    workspace: WorkspaceOption = None,
) -> None:
    order(workspace_of(context, workspace), "prioritise", [sweep], priority=priority)


@app.command(help=VERBS["cap"].about)
def cap(
    context: typer.Context,
    sweep: SweepNameArgument,
    caps: Annotated[
        list[str], typer.Argument(metavar="HOST=HOURS...", help="gpu1=20, gpu1=$50; gpu1=none takes it away.")
    ],
    workspace: WorkspaceOption = None,
) -> None:
    from kitui.services.caps import caps_of

    found = workspace_of(context, workspace)
    order(found, "cap", [sweep], caps=caps_of(found, caps))


@app.command(help=VERBS["move"].about)
def move(
    context: typer.Context,
    names: NamesArgument,
    host: Annotated[str, typer.Option("--host", help="One of the sweep's hosts.", metavar="NAME")],
    workspace: WorkspaceOption = None,
) -> None:
    order(workspace_of(context, workspace), "move", names, host=host)
