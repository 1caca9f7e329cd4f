"""Results on standard output: tables and lines for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from engine.control.ledger.state_file import read_state
from engine.records.analysis import (
    COLLAPSE_SHARE,
    AnalysisDocument,
    CurvesDocument,
    LawDocument,
    LawsDocument,
    PredictionDocument,
    size_names,
)
from engine.records.losses import LossLawDocument
from engine.records.plan import Ceiling
from engine.records.workspace import Workspace
from engine.spec import fact_sets
from engine.spec.axes import TOKENS, differing_axes
from engine.spec.numbers import format_count
from kitui.cli.console import out
from kitui.services.actions import PLACES, key_name
from kitui.services.columns import with_sd
from kitui.services.comparison import ComparisonDocument, comparison_tables
from kitui.services.dose_axes import FREQUENCY, DoseAxis
from kitui.services.format import counted, duration, number, retention, size_of_bytes
from kitui.services.glossary import WordsDocument
from kitui.services.key_list import KeysDocument
from kitui.services.loss_words import loss_law_lines, loss_law_table
from kitui.services.report import (
    background_words,
    law_lines,
    law_table,
    laws_table,
    over_table,
    prediction_lines,
    retention_table,
    simulated_label,
)
from kitui.services.rows import Row, RunRow
from kitui.services.text import printable

if TYPE_CHECKING:  # pydantic with it, which status does not need
    from kitui.services.planning import PlanDocument


def print_curves(document: CurvesDocument, axis: DoseAxis) -> None:
    console = out()
    console.print(f"{document.sweep}{simulated_label(document)}: {document.measure}, mean over seeds ± sd")
    names = size_names(document.sizes)
    for fact_set in fact_sets.NAMES:
        curves = [c for c in document.curves if c.fact_set == fact_set]
        if curves:
            console.print()
            is_usual = axis is FREQUENCY
            console.print(
                retention_table(curves, fact_set, with_sd=True, names=names)
                if is_usual
                else over_table(curves, axis, fact_set, names)
            )


def print_law(law: LawDocument) -> None:
    console = out()
    console.print(f"{law.sweep}{simulated_label(law)}: collapse points, {law.fact_set} {law.measure}")
    console.print()
    console.print(law_table(law))
    console.print()
    for line in law_lines(law):
        console.print(line)


def print_laws(document: LawsDocument) -> None:
    console = out()
    console.print(f"{document.sweep}{simulated_label(document)}: laws by fact set, of {document.fact_sets[0].measure}")
    console.print()
    console.print(laws_table(document.fact_sets))
    console.print()
    for law in document.fact_sets:
        for words in (*([law.reason] if law.reason else []), *law.warnings):
            console.print(f"{law.fact_set}: {words}")


def print_loss_law(document: LossLawDocument) -> None:
    console = out()
    console.print(f"{printable(document.table)}: law of losses, L = E + A / N^alpha + B / D^beta")
    if document.law is not None:
        console.print()
        console.print(loss_law_table(document))
    console.print()
    for line in loss_law_lines(document):
        console.print(line)


def print_summary(workspace: Workspace, name: str, analysis: AnalysisDocument) -> None:
    """What a sweep has shown, at its end: retention, collapse points, the law or why there is none, and the files."""
    console = out()
    law = analysis.law
    console.print(f"── {name}{simulated_label(analysis)} ──")
    console.print("Retention R, mean over seeds (0 chance, 1 perfect; * runs missing)")
    for fact_set in ("prior", "infused", "overall"):
        curves = [c for c in analysis.curves if c.fact_set == fact_set]
        if curves:
            console.print(retention_table(curves, fact_set, with_sd=False, names=size_names(analysis.sizes)))
    console.print()
    share = f"{100 * COLLAPSE_SHARE:g} %"
    console.print(f"Collapse points F* (the last frequency with at least {share} of the highest overall retention)")
    console.print(law_table(law))
    console.print()
    for line in law_lines(law):
        console.print(line)
    epochs = _background_epochs(workspace, name)
    if epochs:
        console.print(f"background text was read {min(epochs):.2g} to {max(epochs):.2g} times")
    folder = workspace.sweep(name)
    console.print()
    console.print(f"sweep    {folder.root}", soft_wrap=True)
    console.print(f"law      {folder.law}", soft_wrap=True)
    console.print(f"runs     {workspace.root / 'runs'}", soft_wrap=True)


def _background_epochs(workspace: Workspace, name: str) -> list[float]:
    """How often each finished run read the background text."""
    state = read_state(workspace)
    sweep = state.sweeps.get(name)
    if sweep is None:
        return []
    found = [state.runs[run_id].results.get(sweep.evaluation_id) for run_id in sweep.run_ids if run_id in state.runs]
    return [one.background_epochs for one in found if one is not None and one.background_epochs is not None]


def print_plan(document: PlanDocument) -> None:
    from kitui.services.planning import memory_words, relaunch_words, unknown_words

    console = out()
    cells = document.cells
    first_budget = format_count(document.ceilings[0].num_tokens)
    budgets = sorted({dose.num_tokens for dose in document.ceilings})
    table = Table.grid(padding=(0, 2))
    rows = [
        ("sweep", document.sweep + ("  (estimated)" if document.estimated else "")),
        ("cells", f"{cells.total:,}: {cells.new:,} new, {cells.trained:,} already trained"),
        *([("launched", relaunch_words(document.launched))] if document.launched else []),
        ("facts", f"{document.facts.infused:,} infused, {document.facts.prior:,} prior"),
        ("tokens a fact", f"{document.tokens_per_fact:.1f}"),
        ("prior exposures", f"{document.prior_exposures:.0f} of each prior fact at F = 0, D = {first_budget}"),
        ("background", background_words(document.background_tokens, budgets)),
        ("unknown tokens", unknown_words(document)),
        *((_ceiling_label(d), _ceiling_words(d)) for d in document.ceilings),
        ("to train", f"{format_count(document.train_tokens)} tokens, {document.train_flops:.2g} FLOP"),
        ("GPU-hours", f"{number(document.gpu_hours)}  ({document.gpu_hours_basis})"),
        ("time here", f"{duration(document.eta_s)}  ({document.eta_basis})"),
        ("disk", size_of_bytes(document.disk_bytes)),
        ("memory a run", memory_words(document) + " at the largest size"),
    ]
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
    sizes = Table(box=None, pad_edge=False)
    for column in ("size", "N", "total", "cells"):
        sizes.add_column(column, justify="left" if column == "size" else "right")
    for model in document.models:
        total = format_count(model.num_params_total) if model.num_params_total else "–"
        sizes.add_row(model.name, f"{model.num_params:,}", total, str(model.cells))
    console.print()
    console.print(sizes)
    for text in document.notes:
        console.print(f"note: {text}")


def _ceiling_label(dose: Ceiling) -> str:
    return f"ceiling, D = {format_count(dose.num_tokens)}, {counted(dose.num_templates, 'template')}"


def _ceiling_words(dose: Ceiling) -> str:
    ceiling = dose.ceiling_frequency
    return "none: exposures come on top" if ceiling is None else f"F ≤ {ceiling:,}"


def print_comparison(document: ComparisonDocument) -> None:
    console = out()
    for index, part in enumerate(comparison_tables(document)):
        if index:
            console.print()
        console.print(part)


def print_prediction(document: PredictionDocument) -> None:
    console = out()
    if document.collapse_frequency is None:
        console.print(f"{document.sweep}{simulated_label(document)}: no prediction: {document.reason}")
        return
    console.print(f"{document.sweep}{simulated_label(document)}")
    for line in prediction_lines(document):
        console.print(line)


def print_keys(document: KeysDocument) -> None:
    console = out()
    for where, title in PLACES.items():
        table = Table(
            box=None, pad_edge=False, title=title, title_justify="left", title_style="bold", show_header=False
        )
        for column in ("keys", "help", "id"):
            table.add_column(column, no_wrap=column == "keys")
        for action in document.actions:
            if action.where == where:
                table.add_row(key_name(",".join(action.keys)), action.help, action.id)
        console.print(table)
        console.print()
    console.print(f"To change them, in {document.configuration}:", soft_wrap=True)
    console.print('  [keys]\n  "monitor.cancel" = "x"\n  "everywhere.quit" = "ctrl+q"')


def print_words(document: WordsDocument) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(max_width=24)
    table.add_column()
    for row in document.words:
        table.add_row(row.word, row.meaning)
    out().print(table)


def print_runs(rows: Sequence[Row], *, by_seed: bool) -> None:
    axes = [axis for axis in differing_axes(rows) if by_seed or axis is not TOKENS]
    table = Table(box=None, pad_edge=False)
    table.add_column("run" if by_seed else "size", no_wrap=True)
    for axis in axes:
        table.add_column(axis.label, justify="right", no_wrap=True)
    for column in (("state",) if by_seed else ("n", "missing")) + ("F", "overall", "prior", "infused", "unseen"):
        table.add_column(column, justify="left" if column == "state" else "right")
    table.add_column("time" if by_seed else "", justify="right")
    for row in rows:
        frequency, unseen = f"{row.frequency:,}", retention(row.score("unseen"))
        others = [axis.words(axis.of(row)) for axis in axes]
        if isinstance(row, RunRow):
            scores = [retention(row.score(name)) for name in ("overall", "prior", "infused")]
            time_text = duration(row.elapsed_s) if row.elapsed_s else printable(row.reason)[:40]
            table.add_row(row.run_id, *others, row.status, frequency, *scores, unseen, time_text)
        else:
            name = f"{row.model}  D={format_count(row.num_tokens)}"
            scores = [with_sd(row.score(s), row.sds.get(s), "±") or "–" for s in ("overall", "prior", "infused")]
            table.add_row(name, *others, str(row.n), str(row.missing or ""), frequency, *scores, unseen, "")
    out().print(table)
