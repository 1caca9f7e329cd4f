"""What differs between groups of curves, in words and a table: templates, and the two arms."""

from __future__ import annotations

from rich.table import Table

from engine.records.effects import CollapseEffect, Mechanism, TemplateEffect
from engine.records.intervals import ClosedInterval, Interval
from kitui.services.format import interval, number, retention
from kitui.services.labels import NO_NAMES, Names, condition_label, condition_words


def template_lines(effect: TemplateEffect) -> list[str]:
    fewest, most = effect.templates
    spread = f"95 % {interval(effect.interval)}, p = {effect.p:.3f} ({_pairs_words(effect.num_pairs, effect.unit)})"
    lines = [f"{most} templates against {fewest}: {effect.difference:+.3f} retention, {spread}"]
    if effect.collapse is not None:
        lines.append(_collapse_words(effect.collapse))
    return lines


def mechanism_table(found: Mechanism, names: Names = NO_NAMES) -> Table:
    """How prior retention changes, dose by dose: by dilution, which the neutral arm shows, and by interference."""
    conditions = [cell.condition for cell in found.cells]
    title = "Prior retention in both arms, and its changes (± 95 %); read: exposures that are left"
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for column in ("size", "F", "read", "neutral", "infused", "dilution", "interference"):
        table.add_column(column, justify="left" if column == "size" else "right", no_wrap=True)
    for cell in found.cells:
        table.add_row(
            condition_label(cell.condition, conditions, names),
            f"{cell.frequency:,g}",
            number(cell.prior_exposures),
            *map(retention, cell.retention),
            _with_half(cell.dilution, cell.dilution_interval),
            _with_half(cell.interference, cell.interference_interval),
        )
    return table


def mechanism_lines(found: Mechanism, names: Names = NO_NAMES) -> list[str]:
    spread = f"95 % {_signed(found.interval)}, p = {found.p:.3f} ({_pairs_words(found.num_pairs, found.unit)})"
    lines = [f"infused arm less neutral arm: {found.difference:+.3f} prior retention, {spread}"]
    if found.collapse is not None:
        lines.append(_collapse_words(found.collapse))
    conditions = [one.condition for one in found.collapse_points]
    for one in found.collapse_points:
        ends = "[" + ", ".join("open" if end is None else f"{end:+.2f}" for end in one.interval) + "]"
        lines.append(f"  {condition_words(one.condition, conditions, names)}: ln F* {one.difference_ln:+.2f} {ends}")
    low, high = found.interval
    if low is None or high is None or low <= 0 <= high:
        lines.append("  no interference is shown: dilution alone is likely enough")
    return lines


def _with_half(value: float, ends: ClosedInterval | None) -> str:
    """A value and half the width of its interval, which is symmetric."""
    return f"{value:+.2f}" if ends is None else f"{value:+.2f} ± {(ends[1] - ends[0]) / 2:.2f}"


def _signed(ends: Interval | None) -> str:
    if ends is None or None in ends:
        return "–"
    return f"[{ends[0]:+.2f}, {ends[1]:+.2f}]"


def _pairs_words(num_pairs: int, unit: str) -> str:
    pairs = f"{num_pairs} pair{'' if num_pairs == 1 else 's'} of curves"
    return pairs + ("" if unit == "curve" else "; by seeds alone: how curves scatter is not known from so few")


def _collapse_words(of_ln: CollapseEffect) -> str:
    return f"  ln F* {of_ln.difference_ln:+.2f}, 95 % {interval(of_ln.interval)}, p = {of_ln.p:.3f}"
