"""What sweeps say: curves, collapse points, laws, predictions, and two sweeps side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kitui.cli.base import (
    CheckpointsOption,
    FactSetOption,
    JsonOption,
    MapOption,
    MeasureOption,
    OptionalSweepArgument,
    SweepArgument,
    WhereOption,
    WorkspaceOption,
    app,
    workspace_of,
)


def complete_figures(incomplete: str) -> list[str]:
    from kitui.services.figures import FIGURES

    return [kind for kind in FIGURES if kind.startswith(incomplete)]


@app.command()
def curves(
    context: typer.Context,
    sweep: SweepArgument,
    over: Annotated[
        str, typer.Option("--over", help="frequency, exposures (of prior facts) or share (of tokens).", metavar="AXIS")
    ] = "frequency",
    fact_set: FactSetOption = "all",
    where: WhereOption = None,
    measure: MeasureOption = "retention",
    checkpoints: CheckpointsOption = 1,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print retention curves: retention over infusion frequency by size, for every fact set."""
    from engine.errors import FitError
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_curves
    from kitui.cli.progress import fitting_bar
    from kitui.services.conditions import curves_where
    from kitui.services.dose_axes import dose_axis
    from kitui.services.engine_commands import analysis
    from kitui.services.report import checked_fact_set, checked_measure, curves_document

    axis, measured = dose_axis(over), checked_measure(measure, checkpoints)
    chosen = None if fact_set == "all" else checked_fact_set(fact_set)
    with fitting_bar() as report:
        found = analysis(workspace_of(context, workspace), sweep, measured=measured, report=report)
    document = curves_where(curves_document(found), where, chosen)
    places = [axis.of(point) for curve in document.curves for point in curve.points if point.n]
    if places and all(place is None for place in places):
        raise FitError(f"the {axis.label} of these runs is not known.", key="--over", value=over)
    print_json(document) if json else print_curves(document, axis)


@app.command()
def law(
    context: typer.Context,
    sweep: OptionalSweepArgument = None,
    fact_set: FactSetOption = "overall",
    where: WhereOption = None,
    measure: MeasureOption = "retention",
    checkpoints: CheckpointsOption = 1,
    loss: Annotated[
        Path | None,
        typer.Option(
            "--loss",
            metavar="TABLE",
            help="Instead: the law of losses of a table with num_params, num_tokens (or flops) and loss.",
        ),
    ] = None,
    columns: MapOption = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print collapse points with their verdicts and the infusion law with its checks; or a law of losses."""
    import msgspec

    from engine.errors import SpecError
    from engine.records.analysis import law_json, laws_json
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_law, print_laws, print_loss_law
    from kitui.cli.progress import fitting_bar
    from kitui.services.columns_given import column_mapping
    from kitui.services.conditions import law_where
    from kitui.services.engine_commands import analysis, laws_of_sets, loss_law
    from kitui.services.report import checked_fact_set, checked_measure

    if (sweep is None) == (loss is None):
        raise SpecError("expected either a sweep or a table of losses.", key="SWEEP, --loss")
    if loss is not None:
        if (fact_set, where, measure, checkpoints) != ("overall", None, "retention", 1):
            options = "--fact-set, --where, --measure, --checkpoints"
            raise SpecError("belongs to a sweep, not to a table of losses.", key=options)
        with fitting_bar("laws") as report:
            of_losses = loss_law(loss, column_mapping(columns or []), report)
        print_json(of_losses) if json else print_loss_law(of_losses)
        if of_losses.law is None:
            raise typer.Exit(4)
        return
    assert sweep is not None
    if columns:
        raise SpecError("is for a table of losses.", key="--map", value=columns[0], mend="kitui import has one too.")
    measured = checked_measure(measure, checkpoints)
    if fact_set == "all":
        with fitting_bar() as report:
            laws = laws_of_sets(workspace_of(context, workspace), sweep, measured=measured, report=report)
        laws = msgspec.structs.replace(laws, fact_sets=tuple(law_where(one, where) for one in laws.fact_sets))
        print_json(laws_json(laws)) if json else print_laws(laws)
        if not any(one.laws for one in laws.fact_sets):
            raise typer.Exit(4)
        return
    chosen = checked_fact_set(fact_set)
    with fitting_bar() as report:
        document = analysis(workspace_of(context, workspace), sweep, chosen, measured=measured, report=report).law
    document = law_where(document, where)
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
    fact_set: FactSetOption = "overall",
    where: WhereOption = None,
    lock: Annotated[
        bool, typer.Option("--lock", help="Keep it, to be scored by kitui law once that size is trained.")
    ] = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Predict the collapse point at a size, and the frequency to use there."""
    from kitui.cli.console import print_json
    from kitui.cli.printing import print_prediction
    from kitui.cli.progress import fitting_bar
    from kitui.services.prediction import predict as predict_at
    from kitui.services.report import checked_fact_set

    with fitting_bar() as report:
        document = predict_at(
            workspace_of(context, workspace),
            sweep,
            params=params,
            tokens=tokens,
            target_retention=target_retention,
            fact_set=checked_fact_set(fact_set),
            where=where,
            is_locked=lock,
            report=report,
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
    from kitui.cli.progress import fitting_bar
    from kitui.services.comparison import compare as compare_sweeps

    with fitting_bar() as report:
        document = compare_sweeps(workspace_of(context, workspace), first, second, report=report)
    print_json(document) if json else print_comparison(document)


@app.command()
def figure(
    context: typer.Context,
    sweep: SweepArgument,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="curves, law or map.", autocompletion=complete_figures)],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A .svg, .pdf or .png; SWEEP-KIND.svg here by default.", metavar="FILE"),
    ] = None,
    fact_set: FactSetOption = "overall",
    workspace: WorkspaceOption = None,
) -> None:
    """Draw retention curves, the law or the map of a study, for a paper: as vectors, with text as text."""
    from kitui.cli.console import note
    from kitui.cli.progress import fitting_bar
    from kitui.services.figures import write_figure
    from kitui.services.report import checked_fact_set
    from kitui.services.sweeps import sweep_name

    path = output or Path(f"{sweep_name(sweep)}-{kind}.svg")
    found = workspace_of(context, workspace)
    with fitting_bar() as report:
        write_figure(found, sweep, kind, path, fact_set=checked_fact_set(fact_set), report=report)
    note(f"{path} written")
