"""`kitui figure`: what the app's plots show, as vector graphics: curves, the law, the map.

Text stays text (SVG) and fonts are embedded (PDF). Colours and the order of markers are those of the app on a light
ground.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.errors import SpecError, StateError, is_no_room, nearest
from engine.records.analysis import AnalysisDocument, CollapsePoint, RetentionCurve, size_names
from engine.records.plan import Plan
from engine.records.workspace import Workspace
from engine.spec.fact_sets import OVERALL
from engine.spec.numbers import format_count
from kitui.services.engine_commands import Report, analysis
from kitui.services.format import dose_interval, number, retention
from kitui.services.labels import condition_label, size_label
from kitui.services.palette import ON_LIGHT, Look, looks
from kitui.services.report import simulated_label
from kitui.services.study_map import MapRow, StudyMap, study_map
from kitui.services.sweeps import known_sweep
from kitui.services.windows import usable_window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

FORMATS = ("svg", "pdf", "png")
_MARKERS = ("o", "s", "^", "D", "P", "*", "X", "H")
"""As `palette.MARKERS`, in their order."""
_INK, _FAINT = "#303030", "#9a9a9a"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": _INK, "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK,
    "legend.frameon": False, "svg.hashsalt": "kitui",
}  # fmt: skip


class _Study(NamedTuple):
    """What is drawn."""

    plan: Plan
    document: AnalysisDocument
    fact_set: str
    looks: dict[float, Look]

    def look(self, num_params: float) -> Look:
        return self.looks.get(num_params, Look(0, 0))

    @property
    def points(self) -> Sequence[CollapsePoint]:
        return self.document.law.collapse_points


def write_figure(
    workspace: Workspace,
    sweep: str,
    kind: str,
    path: Path,
    *,
    fact_set: str = OVERALL.name,
    report: Report | None = None,
) -> Path:
    """Draw one and write it; the ending of its name says how. SpecError for a kind or an ending that there is none of,
    or a file that cannot be written."""
    if kind not in FIGURES:
        raise SpecError("no such figure.", value=kind, mend=nearest(kind, list(FIGURES)))
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        mend = f"Its name ends in {', '.join('.' + name for name in FORMATS)}."
        raise SpecError("expected the name of a figure.", key="--output", value=str(path), mend=mend)
    plan = known_sweep(workspace, sweep)[2]
    document = analysis(workspace, sweep, fact_set, report=report)
    study = _Study(plan, document, fact_set, looks(cell.num_params for cell in plan.cells))
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        FIGURES[kind](figure, study)
        try:
            figure.savefig(path, format=ending, dpi=200, metadata={"Date": None} if ending == "svg" else None)
        except OSError as error:
            kind_of = StateError if is_no_room(error) else SpecError
            raise kind_of(f"cannot be written: {error.strerror}.", where=str(path)) from None
    return path


def _curves(figure: Figure, study: _Study) -> None:
    """Retention over F: means of seeds ± sd, fitted curves in their bands, F* on them with intervals on the axis."""
    axes = _axes(figure, study, "retention")
    own = [c for c in study.document.curves if c.fact_set == study.fact_set]
    conditions, names = [c.condition for c in own], size_names(study.document.sizes)
    fits = {point.condition: point for point in study.points}
    doses = sorted({float(p.frequency) for c in own for p in c.points if p.frequency > 0})
    axes.set_xscale("log")
    _plain_numbers(axes.xaxis)
    are_alone = len({c.num_params for c in conditions}) == len(conditions)
    for index, curve in enumerate(own if doses else []):
        look = study.look(curve.condition.num_params)
        look = look if are_alone else Look(look.colour, index % len(_MARKERS))
        label = condition_label(curve.condition, conditions, names)
        _curve(axes, curve, fits.get(curve.condition), look, label, doses, index)
    window = usable_window(study.points)
    if window is not None:
        axes.axvspan(*window, color="#000000", alpha=0.05, lw=0, zorder=0)
        middle = float(np.sqrt(window[0] * window[1]))
        axes.text(middle, 0.02, "usable at every size", ha="center", va="bottom", color=_FAINT, size=8)
    axes.set_ylim(-0.12, 1.05)
    axes.set_xlabel("F, writings of a fact")
    if doses and any(p.frequency == 0 for c in own for p in c.points):
        _break_axis(axes, doses[0])
    if not doses:
        axes.text(0.5, 0.5, "no results above F = 0", ha="center", transform=axes.transAxes, color=_FAINT)
    elif own:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _curve(
    axes: Axes,
    curve: RetentionCurve,
    point: CollapsePoint | None,
    look: Look,
    label: str,
    doses: Sequence[float],
    index: int,
) -> None:
    colour, marker = ON_LIGHT[look.colour], _MARKERS[look.marker]
    known = [p for p in curve.points if p.mean is not None]
    fitted = point.fitted if point is not None else None
    x = [float(p.frequency) if p.frequency > 0 else doses[0] / _ZERO for p in known]
    y, sd = [p.mean or 0.0 for p in known], [p.sd or 0.0 for p in known]
    if fitted is not None:
        axes.plot(fitted.frequencies, fitted.retention, color=colour, lw=1.6)
        axes.fill_between(fitted.frequencies, fitted.low, fitted.high, color=colour, alpha=0.18, lw=0)
    joined = "" if fitted is not None else "-"
    axes.errorbar(x, y, sd, color=colour, marker=marker, ls=joined, ms=5, elinewidth=0.9, capsize=0, label=label)
    if point is not None and point.collapse_frequency is not None:
        frequency = point.collapse_frequency
        if fitted is not None:
            axes.plot([frequency], [fitted.at(frequency)], marker="v", color=colour, mec=_INK, ms=8, zorder=5)
        low, high = (frequency if end is None else end for end in point.interval)
        height = -0.03 - 0.08 * (index % 8) / 8
        axes.plot([low, high], [height, height], color=colour, lw=2.2, solid_capstyle="butt")
        axes.plot([frequency], [height], marker="v", color=colour, ms=5)


_ZERO = 2.2
"""How many times below the first dose F = 0 is drawn."""


def _break_axis(axes: Axes, first: float) -> None:
    """F = 0 has a place of its own, left of a broken axis."""
    axes.annotate("0", (first / _ZERO, 0), xycoords=("data", "axes fraction"), xytext=(0, -14),
                  textcoords="offset points", ha="center", annotation_clip=False)  # fmt: skip
    axes.annotate("//", (first / _ZERO**0.5, 0), xycoords=("data", "axes fraction"), ha="center", va="center",
                  annotation_clip=False, color=_INK, backgroundcolor="white", size=8)  # fmt: skip
    axes.set_xlim(left=first / _ZERO / 1.3)
    from matplotlib.ticker import FixedLocator

    for which, axis_ticks in (("major", axes.get_xticks()), ("minor", axes.get_xticks(minor=True))):
        kept = FixedLocator([tick for tick in axis_ticks if tick >= first * (1 - 1e-9)])  # none in the gap
        (axes.xaxis.set_major_locator if which == "major" else axes.xaxis.set_minor_locator)(kept)


def _law(figure: Figure, study: _Study) -> None:
    """F* over N with intervals, the law in its band, and the next size up."""
    axes = _axes(figure, study, "F*, writings of a fact")
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_numbers(axes.xaxis)
    _plain_numbers(axes.yaxis)
    names = size_names(study.document.sizes)
    for law in study.document.law.laws:
        places = [row.num_params for row in law.band]
        axes.plot(places, [row.collapse_frequency for row in law.band], color=ON_LIGHT[3], lw=1.6, label=law.equation)
        lows = [np.nan if row.low is None else row.low for row in law.band]
        highs = [np.nan if row.high is None else row.high for row in law.band]
        if places:
            axes.fill_between(places, lows, highs, color=ON_LIGHT[3], alpha=0.18, lw=0, label="95 % of one more size")
        target = law.next_size
        if target is not None and target.collapse_frequency is not None:
            label = target.model or size_label(target.condition.num_params, names)
            _point(axes, target.condition.num_params, target.collapse_frequency, target.interval, _INK, "*", label)
    for point in study.points:
        if point.collapse_frequency is not None:
            size = point.condition.num_params
            look = study.look(size)
            _point(axes, size, point.collapse_frequency, point.interval, ON_LIGHT[look.colour], _MARKERS[look.marker],
                   size_label(size, names))  # fmt: skip
    axes.set_xlabel("N, parameters without embeddings")
    if study.document.law.laws:
        axes.legend(loc="best")


def _point(
    axes: Axes,
    x: float,
    y: float,
    interval: Sequence[float | None] | None,
    colour: str,
    marker: str,
    label: str,
) -> None:
    low, high = interval or (None, None)
    reach = [[y - (y if low is None else low)], [(y if high is None else high) - y]]
    axes.errorbar([x], [y], reach, color=colour, marker=marker, ms=7, elinewidth=1.2, capsize=3, zorder=4)
    axes.annotate(label, (x, y), xytext=(7, -10), textcoords="offset points", color=colour, size=9)


def _map(figure: Figure, study: _Study) -> None:
    """Sizes by frequencies: retention as shading and number; F* with its interval, and the acquisition frequency, as
    lines through the rows."""
    law = study.document.law
    target = law.laws[0].next_size if law.laws else None
    found = study_map(study.plan, study.document, study.fact_set, target=target)
    axes = _axes(figure, study, "")
    shades, num_rows = _shades(), len(found.rows)
    for y, row in enumerate(found.rows):
        for x, frequency in enumerate(found.frequencies):
            cell = row.cells.get(frequency)
            mean = cell.mean if cell is not None else None
            fill = shades(0.08 + 0.8 * max(0.0, min(mean, 1.0))) if mean is not None else "white"
            hatch = "////" if cell is not None and mean is None else None
            axes.add_patch(_rectangle(x, y, fill, hatch))
            if mean is not None:
                axes.text(
                    x,
                    y,
                    retention(mean),
                    ha="center",
                    va="center",
                    size=8,
                    color="white" if mean > _DARK_FROM else _INK,
                )
        _row_marks(axes, found, row, y)
    axes.set_xlim(-0.6, len(found.frequencies) + 2.6)
    axes.set_ylim(num_rows - 0.4, -0.6)
    axes.set_xticks(range(len(found.frequencies)), [f"{f:g}" for f in found.frequencies])
    axes.set_yticks(range(num_rows), [row.label for row in found.rows])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel("F, writings of a fact     red: F* and its 95 %;  dashed: acquired;  ★: use up to here")


_DARK_FROM = 0.55
_Colour = str | tuple[float, float, float, float]


def _row_marks(axes: Axes, found: StudyMap, row: MapRow, y: float) -> None:
    place = _places(found)
    low, high = row.interval
    if row.collapse is not None:
        ends = [place(row.collapse if low is None else low), place(row.collapse if high is None else high)]
        axes.plot(ends, [y, y], color="#c00000", lw=5, alpha=0.35, solid_capstyle="butt")
        axes.plot([place(row.collapse)] * 2, [y - 0.45, y + 0.45], color="#c00000", lw=2.2)
        words = f"F* {number(row.collapse)} {dose_interval(row.interval)}"
        axes.text(len(found.frequencies) - 0.3, y, words, va="center", size=8)
    if row.acquired is not None:
        axes.plot([place(row.acquired)] * 2, [y - 0.45, y + 0.45], color=_INK, lw=1.2, ls=(0, (2, 1.5)))
    if row.target is not None and row.target.recommended_frequency is not None:
        axes.plot([place(row.target.recommended_frequency)], [y], marker="*", color="#c00000", ms=13, mec="white")


def _places(found: StudyMap) -> Callable[[float], float]:
    """Where a frequency lies among the columns: in log F between two of them."""
    first = next((f for f in found.frequencies if f > 0), 1.0)
    known = [f if f > 0 else first / 4 for f in found.frequencies]

    def place(frequency: float) -> float:
        return float(np.interp(np.log(frequency), np.log(known), range(len(known))))

    return place


def _rectangle(x: int, y: int, fill: _Colour, hatch: str | None) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=fill, edgecolor="#d0d0d0", hatch=hatch, lw=0.5)


def _shades() -> Callable[[float], tuple[float, float, float, float]]:
    import matplotlib as mpl

    return mpl.colormaps["Blues"]


def _plain_numbers(axis: Axis) -> None:
    """1, 2 and 5 times powers of ten, as the app writes them: 20k."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _place: format_count(float(f"{value:.6g}"))))
    axis.set_minor_formatter(NullFormatter())


def _axes(figure: Figure, study: _Study, y_label: str) -> Axes:
    axes = figure.add_subplot()
    axes.set_ylabel(y_label)
    axes.set_title(f"{study.document.sweep}{simulated_label(study.document)}, {study.fact_set}", loc="left", size=10)
    return axes


FIGURES: dict[str, Callable[[Figure, _Study], None]] = {"curves": _curves, "law": _law, "map": _map}
