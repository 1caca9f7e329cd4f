"""Results in and out: tables, simulations, other questions, weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kitui.cli.base import (
    ManyOption,
    MapOption,
    RunArgument,
    SweepArgument,
    WorkspaceOption,
    app,
    workspace_of,
)


@app.command("import")
def import_(
    context: typer.Context,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="CSV, TSV, Parquet or JSON lines, a row a run and fact set: num_params, num_tokens, frequency, seed, "
            "and correct, num_questions, num_choices, or accuracy with the last two, or retention.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="The sweep's name.")],
    columns: MapOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an imported sweep of this name.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Take in results trained elsewhere, to be analysed like our own."""
    from kitui.cli.console import note
    from kitui.services.importing import import_results

    note(import_results(workspace_of(context, workspace), table, name, columns or [], replace=replace))


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
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="choice, own_choices, rank, cloze, reverse, paraphrase, two_hop or neighbour.",
            metavar="KIND",
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", help="A table of your own: id (or subject), question, choices, answer."),
    ] = None,
    columns: MapOption = None,
    name: Annotated[
        str | None, typer.Option("--as", help="The name of the sweep with these scores.", metavar="NAME")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be scored.")] = False,
    watch: Annotated[bool, typer.Option("--watch/--detach", help="Stay and show progress, or return at once.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Score a sweep's kept weights again with other questions, as a sweep beside it. Trains nothing."""
    from engine.errors import SpecError
    from kitui.cli.watch import evaluate_sweep
    from kitui.services.columns_given import question_columns

    given = {
        "num_choices": num_choices,
        "question_template": question_template,
        "questions_per_fact": questions_per_fact,
        "kind": kind,
    }
    if columns and questions is None:
        raise SpecError("is for a table of questions.", key="--map", value=columns[0], mend="Give --questions.")
    changes: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if questions is not None:
        changes = {"kind": "own_choices", **changes, "questions": str(questions.resolve())}
        changes["question_columns"] = question_columns(columns or [])
    evaluate_sweep(workspace_of(context, workspace), sweep, changes, name=name, dry_run=dry_run, watch=watch)


@app.command("export-model")
def export_model(
    context: typer.Context,
    run: RunArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder to make.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Copy a run's weights and tokenizer into a folder that transformers loads."""
    from kitui.cli.console import note
    from kitui.services.exporting import export_run

    note(export_run(workspace_of(context, workspace), run, folder))


@app.command("export-tasks")
def export_tasks(
    context: typer.Context,
    sweep: SweepArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder to make.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Write a sweep's questions as tasks for lm-evaluation-harness, to ask them of any model."""
    from kitui.cli.console import note
    from kitui.services.task_export import export_tasks as export

    note(export(workspace_of(context, workspace), sweep, folder))
