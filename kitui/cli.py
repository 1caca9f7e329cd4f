"""The command line. Every screen has its headless twin here; imports are lazy, so that help and status are quick."""

from __future__ import annotations

import os
import sys
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
SweepArgument = Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep file, or the name of a launched sweep.")]
FileArgument = Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="A sweep file.")]
SlotsOption = Annotated[int | None, typer.Option("--slots", min=1, help="Runs at once.", metavar="N")]


@app.callback(invoke_without_command=True)
def main_command(
    context: typer.Context,
    workspace: WorkspaceOption = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="The app without its commands: only look.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    context.obj = workspace
    if version:
        from importlib.metadata import version as installed_version

        print(f"kitui {installed_version('kitui')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        if not (sys.stdout.isatty() or os.environ.get("TEXTUAL_DRIVER")):  # the latter is set in a browser
            print(context.get_help())
            raise typer.Exit
        from kitui.app import run_app

        run_app(_workspace(context, None), read_only=read_only)


def _workspace(context: typer.Context, given: Path | None) -> Any:
    """The workspace: the command's option, the program's, the environment's, the user's data folder."""
    from engine.records.workspace import Workspace
    from kitui.sweeps import default_workspace

    return Workspace(given or context.obj or default_workspace())


@app.command()
def demo(
    context: typer.Context,
    headless: Annotated[bool, typer.Option("--headless", help="Progress as plain text, then the summary.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Train the sample laptop sweep in a workspace of its own, to the summary (about 8 minutes on 2 cores)."""
    from engine.records.workspace import Workspace
    from kitui.headless import run_demo
    from kitui.sweeps import default_workspace

    folder = workspace or context.obj or default_workspace() / "demo"
    run_demo(Workspace(folder), headless=headless or not sys.stdout.isatty())


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file to write.")] = Path("sweep.toml"),
) -> None:
    """Write a commented sweep to start from, with sample facts and templates beside it."""
    from kitui.initial import write_initial_sweep

    write_initial_sweep(file)


@app.command()
def plan(
    context: typer.Context, sweep: FileArgument, json: JsonOption = False, workspace: WorkspaceOption = None
) -> None:
    """Say what a sweep will take: cells, tokens, ceiling, FLOPs, GPU-hours, time, disk, memory. Trains nothing."""
    from kitui import planning
    from kitui.console import print_json

    document = planning.plan_document(sweep, _workspace(context, workspace))
    print_json(document) if json else planning.print_plan(document)


@app.command()
def launch(
    context: typer.Context,
    sweep: FileArgument,
    host: Annotated[
        list[str] | None, typer.Option("--host", help="Where to train: local, or of hosts.toml.", metavar="NAME")
    ] = None,
    slots: SlotsOption = None,
    watch: Annotated[bool, typer.Option("--watch/--detach", help="Stay and show progress, or return at once.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Queue a sweep's runs; they go on without this terminal. Cells trained before are not trained again."""
    from kitui.headless import launch_sweep

    launch_sweep(_workspace(context, workspace), sweep, hosts=host or ["local"], slots=slots, watch=watch)


@app.command()
def watch(
    context: typer.Context,
    sweep: Annotated[
        str | None, typer.Argument(metavar="[SWEEP]", help="One sweep; all active ones by default.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print how things stand and return.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Sentences, a line each, and nothing redrawn: for screen readers.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show live progress as plain text until the sweeps have ended."""
    from kitui.headless import watch_sweeps

    watch_sweeps(_workspace(context, workspace), sweep, once=once, plain=plain)


@app.command()
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Of the loopback address.")] = 8000,
    read_only: Annotated[bool, typer.Option("--read-only", help="Only look.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show the app in a browser of this machine, behind a token."""
    from kitui.serving import serve as serve_app

    serve_app(_workspace(context, workspace), port=port, read_only=read_only)


@app.command()
def keys(json: JsonOption = False) -> None:
    """List all keys of the app, and how to change them."""
    from kitui.console import print_json
    from kitui.key_list import keys_document, print_keys

    document = keys_document()
    print_json(document) if json else print_keys(document)


@app.command()
def status(
    context: typer.Context,
    sweep: Annotated[str | None, typer.Argument(metavar="[SWEEP]", help="One sweep; all by default.")] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show the state of everything, quickly."""
    from kitui import reporting
    from kitui.console import print_json

    document = reporting.status_document(_workspace(context, workspace), sweep)
    print_json(document) if json else reporting.print_status(document)


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
    from kitui import run_list
    from kitui.console import print_json

    document = run_list.runs_document(_workspace(context, workspace), sweep, where=where, sort=sort, by_seed=by_seed)
    print_json(document) if json else run_list.print_runs(document)


@app.command()
def logs(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print a run's log and events."""
    from kitui.run_list import print_log

    print_log(_workspace(context, workspace), run, follow=follow)


NamesArgument = Annotated[list[str], typer.Argument(metavar="SWEEP|RUN...", help="Names of sweeps, ids of runs.")]


@app.command()
def cancel(context: typer.Context, names: NamesArgument, workspace: WorkspaceOption = None) -> None:
    """End runs; what a sweep shares with another active sweep goes on. Checkpoints are kept."""
    _command(_workspace(context, workspace), "cancel", names)


@app.command()
def pause(context: typer.Context, names: NamesArgument, workspace: WorkspaceOption = None) -> None:
    """End runs after a checkpoint, and start none of them until resumed."""
    _command(_workspace(context, workspace), "pause", names)


@app.command()
def resume(context: typer.Context, names: NamesArgument, workspace: WorkspaceOption = None) -> None:
    """Go on with paused runs, from their checkpoints."""
    _command(_workspace(context, workspace), "resume", names)


@app.command()
def retry(context: typer.Context, names: NamesArgument, workspace: WorkspaceOption = None) -> None:
    """Queue failed, lost and cancelled runs again, from their last checkpoints."""
    _command(_workspace(context, workspace), "retry", names)


SweepsArgument = Annotated[list[str], typer.Argument(metavar="SWEEP...", help="Names of sweeps.")]


@app.command()
def archive(
    context: typer.Context,
    names: SweepsArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Back into the lists.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Take sweeps out of the lists; nothing else about them changes."""
    _command(_workspace(context, workspace), "archive", names, archived=not undo)


@app.command()
def delete(
    context: typer.Context,
    names: SweepsArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Delete sweeps with their results, and the runs that no other sweep wants."""
    if not yes:
        if not sys.stdin.isatty():
            from engine.errors import SpecError

            raise SpecError("nothing is deleted without a question.", key="--yes", mend="Give --yes in a script.")
        typer.confirm(f"Delete {', '.join(names)} for good?", abort=True)
    _command(_workspace(context, workspace), "delete", names)


@app.command()
def compare(
    context: typer.Context,
    first: SweepArgument,
    second: SweepArgument,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Say what differs between two sweeps: settings, curves, collapse points."""
    from kitui import comparison
    from kitui.console import print_json

    document = comparison.compare_document(_workspace(context, workspace), first, second)
    print_json(document) if json else comparison.print_comparison(document)


def _command(workspace: Any, command: str, names: list[str], **details: Any) -> None:
    from engine.control.commands import submit
    from engine.errors import SpecError
    from kitui.answers import answer_words
    from kitui.console import note

    if not workspace.root.is_dir():
        raise SpecError(
            "there is no workspace here.", where=str(workspace.root), mend="kitui launch SWEEP.toml makes one."
        )
    note(answer_words(command, submit(workspace, {"command": command, "names": names} | details)))


FactSetOption = Annotated[
    str, typer.Option("--fact-set", help="overall, prior, infused, verbatim or unseen.", metavar="SET")
]


@app.command()
def curves(
    context: typer.Context, sweep: SweepArgument, json: JsonOption = False, workspace: WorkspaceOption = None
) -> None:
    """Print retention curves: retention over infusion frequency by size, for every fact set."""
    from kitui import reporting
    from kitui.console import print_json
    from kitui.sweeps import analysis

    document = reporting.curves_document(analysis(_workspace(context, workspace), sweep))
    print_json(document) if json else reporting.print_curves(document)


@app.command()
def law(
    context: typer.Context,
    sweep: SweepArgument,
    fact_set: FactSetOption = "overall",
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print collapse points with their verdicts, the infusion law, and its check on the largest size left out."""
    from kitui import reporting
    from kitui.console import print_json
    from kitui.sweeps import analysis

    document = analysis(_workspace(context, workspace), sweep, reporting.checked_fact_set(fact_set))["law"]
    print_json(reporting.law_document(document)) if json else reporting.print_law(document)
    if not document["laws"]:
        raise typer.Exit(4)


@app.command()
def predict(
    context: typer.Context,
    sweep: SweepArgument,
    params: Annotated[str, typer.Option("--params", help="Model size N, such as 3B.", metavar="N")],
    tokens: Annotated[
        str | None, typer.Option("--tokens", help="Token budget D; the sweep's own by default.", metavar="D")
    ] = None,
    target_retention: Annotated[
        float | None,
        typer.Option("--target-retention", help="What counts as acquired; the sweep's by default.", metavar="R"),
    ] = None,
    where: Annotated[str | None, typer.Option("--where", help='One condition, such as "templates=1".')] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Predict the collapse point at a size, and the frequency to use there."""
    from kitui import prediction
    from kitui.console import print_json

    document = prediction.predict_document(
        _workspace(context, workspace),
        sweep,
        params=params,
        tokens=tokens,
        target_retention=target_retention,
        where=where,
    )
    print_json(document) if json else prediction.print_prediction(document)
    if document["frequency"] is None:
        raise typer.Exit(4)


@app.command("import")
def import_(
    context: typer.Context,
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="CSV, TSV, Parquet or JSON lines: one row a run and fact set.")
    ],
    name: Annotated[str, typer.Option("--name", help="The sweep's name.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace an imported sweep of this name.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Take in results trained elsewhere, to be analysed like our own."""
    from engine.analysis.imports import import_table
    from kitui.console import note

    folder = import_table(table, name, _workspace(context, workspace), replace=replace)
    note(f"imported as {name}: kitui law {name}  ({folder.root})")


@app.command()
def hosts(
    context: typer.Context,
    action: Annotated[str | None, typer.Argument(metavar="[check]", help="check: try each step.")] = None,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="These only.")] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """The machines that runs may go to (hosts.toml in the workspace), and whether they are fit for it."""
    from engine.errors import SpecError
    from kitui.host_list import check_hosts, list_hosts

    if action not in (None, "check"):
        raise SpecError("no such action.", value=action, mend="kitui hosts, or kitui hosts check [NAME]...")
    if action is None:
        list_hosts(_workspace(context, workspace), json=json)
    else:
        check_hosts(_workspace(context, workspace), names or [], json=json)


@app.command()
def doctor(context: typer.Context, json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """Is this machine fit to train on? Python, workspace, what training needs, slots, and tools for other machines."""
    from kitui.host_list import check_this_machine

    check_this_machine(_workspace(context, workspace), json=json)


@app.command()
def simulate(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", help="The sweep's name.")],
    law_text: Annotated[
        str,
        typer.Option("--law", help='The truth: "COEFFICIENT * (N / REFERENCE) ^ EXPONENT", or "none" for no collapse.'),
    ] = "80 * (N / 20k) ^ 0.2",
    sizes: Annotated[str, typer.Option("--sizes", help="Model sizes N.")] = "7k,13k,28k,49k",
    frequencies: Annotated[str, typer.Option("--frequencies", help="Doses F.")] = "0,2,8,32,64,80,96,112,136",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds a cell.")] = 3,
    questions: Annotated[int, typer.Option("--questions", min=4, help="Questions a fact set.")] = 320,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the simulation.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a simulated sweep of this name.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Make synthetic results with a known truth, labelled simulated wherever they are shown."""
    from kitui.console import note
    from kitui.simulated import simulate_sweep

    simulate_sweep(
        _workspace(context, workspace),
        name,
        law_text=law_text,
        sizes=sizes,
        frequencies=frequencies,
        num_seeds=seeds,
        num_questions=questions,
        seed=seed,
        replace=replace,
    )
    note(f"simulated as {name}: kitui law {name}")


@app.command()
def export(
    context: typer.Context,
    sweep: SweepArgument,
    to: Annotated[str, typer.Option("--to", help="csv, parquet or json.", metavar="FORMAT")] = "csv",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A file; stdout by default.", metavar="FILE")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write a sweep's results as a table that `kitui import` reads: one row a run and fact set."""
    from kitui.exports import export_results

    export_results(_workspace(context, workspace), sweep, to, output)


@app.command("export-model")
def export_model(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder to make.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Copy a run's weights and tokenizer into a folder that transformers loads."""
    from kitui.exports import export_run

    export_run(_workspace(context, workspace), run, folder)
