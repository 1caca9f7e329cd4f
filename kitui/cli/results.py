"""What came of sweeps: curves, collapse points, the law, predictions, tables in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kitui.cli.base import FactSetOption, JsonOption, ManyOption, SweepArgument, WorkspaceOption, app, workspace_of


@app.command()
def curves(
    context: typer.Context, sweep: SweepArgument, json: JsonOption = False, workspace: WorkspaceOption = None
) -> None:
    """Print retention curves: retention over infusion frequency by size, for every fact set."""
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_curves
    from kitui.services.engine_commands import analysis
    from kitui.services.report import curves_document

    document = curves_document(analysis(workspace_of(context, workspace), sweep))
    print_json(document) if json else print_curves(document)


@app.command()
def law(
    context: typer.Context,
    sweep: SweepArgument,
    fact_set: FactSetOption = "overall",
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print collapse points with their verdicts, the infusion law, and its check on the largest size left out."""
    from engine.records.analysis import law_json
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_law
    from kitui.services.engine_commands import analysis
    from kitui.services.report import checked_fact_set

    document = analysis(workspace_of(context, workspace), sweep, checked_fact_set(fact_set)).law
    print_json(law_json(document)) if json else print_law(document)
    if not document.laws:
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
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_prediction
    from kitui.services.prediction import predict as predict_at

    document = predict_at(
        workspace_of(context, workspace),
        sweep,
        params=params,
        tokens=tokens,
        target_retention=target_retention,
        where=where,
    )
    print_json(document) if json else print_prediction(document)
    if document.collapse_frequency is None:
        raise typer.Exit(4)


@app.command()
def compare(
    context: typer.Context,
    first: SweepArgument,
    second: SweepArgument,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Say what differs between two sweeps: settings, curves, collapse points."""
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_comparison
    from kitui.services.comparison import compare as compare_sweeps

    document = compare_sweeps(workspace_of(context, workspace), first, second)
    print_json(document) if json else print_comparison(document)


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
    from kitui.cli.console import note

    folder = import_table(table, name, workspace_of(context, workspace), replace=replace)
    note(f"imported as {name}: kitui law {name}  ({folder.root})")


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
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=10_000, help="Seeds a cell.")] = 3,
    questions: Annotated[int, typer.Option("--questions", min=4, max=10**9, help="Questions a fact set.")] = 320,
    seed: Annotated[int, typer.Option("--seed", min=0, max=10**15, help="Of the simulation.")] = 0,
    many: ManyOption = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a simulated sweep of this name.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Make synthetic results with a known truth, labelled simulated wherever they are shown."""
    from kitui.cli.console import note
    from kitui.services.simulating import simulate_sweep

    simulate_sweep(
        workspace_of(context, workspace),
        name,
        law_text=law_text,
        sizes=sizes,
        frequencies=frequencies,
        num_seeds=seeds,
        num_questions=questions,
        seed=seed,
        replace=replace,
        many=many,
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
    from kitui.cli.console import note
    from kitui.services.exporting import export_results

    if words := export_results(workspace_of(context, workspace), sweep, to, output):
        note(words)


@app.command()
def evaluate(
    context: typer.Context,
    sweep: SweepArgument,
    num_choices: Annotated[int | None, typer.Option("--num-choices", help="Answers offered.", metavar="N")] = None,
    question_template: Annotated[
        int | None, typer.Option("--question-template", help="Which of a relation's, from 0.", metavar="INDEX")
    ] = None,
    questions_per_fact: Annotated[
        int | None, typer.Option("--questions-per-fact", help="Questions about each fact.", metavar="N")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Which kind of question.", metavar="KIND")] = None,
    name: Annotated[
        str | None, typer.Option("--as", help="The name of the sweep with these scores.", metavar="NAME")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be scored.")] = False,
    watch: Annotated[bool, typer.Option("--watch/--detach", help="Stay and show progress, or return at once.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Score a sweep's kept weights again with other questions, as a sweep beside it. Trains nothing."""
    from kitui.cli.watch import evaluate_sweep

    given = {
        "num_choices": num_choices,
        "question_template": question_template,
        "questions_per_fact": questions_per_fact,
        "kind": kind,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    evaluate_sweep(workspace_of(context, workspace), sweep, changes, name=name, dry_run=dry_run, watch=watch)


@app.command("export-model")
def export_model(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder to make.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Copy a run's weights and tokenizer into a folder that transformers loads."""
    from kitui.cli.console import note
    from kitui.services.exporting import export_run

    note(export_run(workspace_of(context, workspace), run, folder))
