"""The law of a table of losses in words and a table."""

from __future__ import annotations

from rich.table import Table

from engine.records.losses import LossLawDocument
from engine.spec.numbers import format_count
from kitui.services.format import counted, interval, number


def loss_law_table(document: LossLawDocument) -> Table:
    """Coefficients with their intervals: of all points and, where some lie far off, without these."""
    laws = [law for law in (document.law, document.without_outliers) if law is not None]
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for law in laws:
        left_out = document.num_points - law.num_points
        table.add_column(f"without {left_out}" if left_out else f"all {law.num_points}", no_wrap=True)
        table.add_column("95 %", no_wrap=True)
    for name in laws[0].parameters:
        row = [name.replace("_", " ")]
        for law in laws:
            row += [number(law.parameters[name].value), interval(law.parameters[name].interval)]
        table.add_row(*row)
    return table


def loss_law_lines(document: LossLawDocument) -> list[str]:
    """The law in words, and what speaks for and against it."""
    lines = []
    for law in (document.law, document.without_outliers):
        if law is None:
            continue
        lines.append(f"{law.equation}  ({law.num_points} points)")
        lines.append(f"  off by {law.median_error:.2%} in the median, by {law.largest_error:.1%} at most")
        if check := law.leave_largest_out:
            losses = f"its {check.num_points} losses" if check.num_points > 1 else "its loss"
            side = "high" if check.mean_error_ln > 0 else "low"
            lines.append(
                f"  without the largest size ({format_count(check.num_params)}, {number(check.distance)} × the next) "
                f"it predicts {losses} {abs(check.mean_error_ln):.1%} too {side}"
            )
    if document.outlying_lines:
        lines.append(f"outlying: line {', '.join(map(str, document.outlying_lines))} of the table")
    if document.num_empty:
        lines.append(f"{counted(document.num_empty, 'row')} without a loss left out")
    if document.reason:
        lines.append(f"no law: {document.reason}")
    return lines
