"""What the sweep says: retention with its collapse points, F* over size with the law, and a prediction for a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Static

from engine.errors import KituiError
from engine.records.analysis import (
    AnalysisDocument,
    CollapsePoint,
    LawDocument,
    Prediction,
    RetentionCurve,
    read_analysis,
    size_names,
)
from engine.records.conditions import Condition
from engine.records.states import RunStatus
from engine.spec import fact_sets
from engine.spec.axes import AXES, SIZE, TOKENS, differing_axes
from kitui.services.dose_axes import DOSE_AXES, FREQUENCY
from kitui.services.engine_commands import analysis
from kitui.services.labels import size_label
from kitui.services.markdown import as_markdown
from kitui.services.palette import Look
from kitui.services.report import OUTDATED, law_lines, law_page, law_table, prediction_lines
from kitui.services.study_map import study_map
from kitui.services.subprocesses import predict_beside
from kitui.services.windows import usable_window
from kitui.tui.bindings import bindings
from kitui.tui.live.snapshot import Snapshot
from kitui.tui.plot.figure import Series
from kitui.tui.plot.map_view import MapView
from kitui.tui.plot.series import (
    FREQUENCY_NAME,
    collapse_marks,
    curve_series,
    fitted_series,
    frequency_limits,
    law_limits,
    law_series,
    looks_of,
    retention_series,
)
from kitui.tui.plot.widget import CurvePlot
from kitui.tui.screens.base import KituiScreen
from kitui.tui.widgets.line_input import LineInput

_CHOSEN_BY = (*(axis.field for axis in AXES if axis.in_condition and axis is not SIZE), "fill")
"""What of a condition one chooses, beside the size: fields of a condition."""


class LawScreen(KituiScreen):
    NAME = "law"
    BINDINGS: ClassVar[list[BindingType]] = bindings("law")
    AUTO_FOCUS = "#law-words"

    def __init__(self) -> None:
        super().__init__()
        self._fact_set = "overall"
        self._axis = FREQUENCY
        self._condition: tuple[Any, ...] | None = None  # by _CHOSEN_BY; None for all
        self._arm: str | None = None
        self._arm_curves: Sequence[RetentionCurve] = ()
        self._document: AnalysisDocument | None = None
        self._subject: tuple[object, ...] = ()
        self._prediction: list[str] = []
        self._target: Prediction | None = None
        """The last prediction, where there was one: it is in the plot."""
        self._analysing = False
        self._said = ("", "")

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(id="law-answer", classes="pane", can_focus=False) as answer:
            answer.border_title = "Answer"
            yield Static("", id="answer", markup=False)
        yield CurvePlot("Retention", log_x=True, id="collapse-plot")
        yield CurvePlot("Collapse point over size", log_x=True, log_y=True, id="law-plot")
        yield MapView(id="map")
        with Horizontal(id="target"):
            yield Static("t  target N", markup=False)
            yield LineInput(placeholder="e.g. 3B", id="size")
            yield Static("D", markup=False)
            yield LineInput(placeholder="e.g. 100B", id="budget")
            yield Static("", id="said", markup=False)
        with VerticalScroll(id="law-words", classes="pane") as sizes:
            sizes.border_title = "Sizes, and what speaks for and against the law"
            yield Static("", id="words", markup=False)

    # What is shown

    def show_snapshot(self, snapshot: Snapshot) -> None:
        subject = (snapshot.sweep, self._fact_set, _made_of(snapshot.analysis))
        if subject[0] != (self._subject[0] if self._subject else None):
            self._condition, self._arm, self._arm_curves, self._prediction = None, None, (), []
            self._target = None
        if subject != self._subject:
            self._subject = subject
            if self._fact_set == fact_sets.OVERALL.name or snapshot.analysis is None:
                self._document = snapshot.analysis
            else:
                self._document = None  # another sweep's, or another set's, is not to stand under this name
                self._analysing = True
                self._analyse(str(snapshot.sweep), self._fact_set)
        self._show()

    @work(thread=True, exclusive=True, group="analysis")
    def _analyse(self, sweep: str, fact_set: str) -> None:
        """Another fact set's collapse points, by the analysis command."""
        try:
            document = analysis(self.kitui.workspace, sweep, fact_set)
        except (KituiError, OSError) as error:
            self.kitui.tell_fault(error)
            self._analysing = False
            return
        self.app.call_from_thread(self._analysed, sweep, fact_set, document)

    def _analysed(self, sweep: str, fact_set: str, document: AnalysisDocument) -> None:
        if (sweep, fact_set) == self._subject[:2]:
            self._document, self._analysing = document, False
            self._show()

    def _show(self) -> None:
        snapshot = self.kitui.snapshot
        if snapshot is None:
            return
        self.show_keys()
        document, law, points = self._document, self._law(), self._points()
        suffix = f", {self._condition_words()}" if self._condition else ""
        series, sizes = self._curves(snapshot, document), looks_of(snapshot.plan)
        of_frequency = self._axis is FREQUENCY
        also = f"{'; ▼ F*' if of_frequency else ''}{f'; ○ {self._arm}' if self._arm else ''}"
        self.query_one("#collapse-plot", CurvePlot).show(
            series,
            title=f"Retention, {self._fact_set}{suffix}{also}",
            x_name=FREQUENCY_NAME if of_frequency else self._axis.label,
            view=(snapshot.sweep, "collapse", self._axis.name),
            x_limits=frequency_limits(snapshot) if of_frequency else None,
            marks=collapse_marks(law, sizes, points) if of_frequency else [],
            window=usable_window(points) if of_frequency else None,
            y_limits=(-0.1, 1.05),
            empty=self._nothing(document),
        )
        target = self._target or (law.laws[0].next_size if law and law.laws else None)
        x_limits, y_limits = law_limits(law, points, target) if law else (None, None)
        self.query_one("#law-plot", CurvePlot).show(
            law_series(law, points, target, sizes) if law else [],
            title="F* over size, 95 %; band: one more size",
            x_name="N, without embeddings",
            view=(snapshot.sweep, "law"),
            x_limits=x_limits,
            y_limits=y_limits,
            empty=self._nothing(document) if document is None else "no collapse point observed yet",
        )
        self._show_map(snapshot, document, target)
        answer, words = self._words(snapshot, law)
        if (answer, words) != self._said:
            self._said = (answer, words)
            self.query_one("#answer", Static).update(answer)
            self.query_one("#words", Static).update(words)

    def _show_map(self, snapshot: Snapshot, document: AnalysisDocument | None, target: Prediction | None) -> None:
        if snapshot.plan is None or not self.has_class("-map"):
            return
        found = study_map(
            snapshot.plan,
            document,
            self._fact_set,
            target=target,
            running={
                ((row.params, row.num_tokens, row.templates), row.frequency)
                for row in snapshot.rows
                if row.status.has_begun
            },
            keep=None if self._condition is None or document is None else
            {c.condition for c in self._own_curves(document)},
        )  # fmt: skip
        suffix = f", {self._condition_words()}" if self._condition else ""
        self.query_one(MapView).show(
            found, title=f"Map: retention, {self._fact_set}{suffix}", empty=self._nothing(document)
        )

    def _words(self, snapshot: Snapshot, law: LawDocument | None) -> tuple[str, str]:
        """The answer in a few lines, and all that is known."""
        if law is None:
            if self._analysing:
                return f"Working out what {self._fact_set} facts alone say …", ""
            return ("Working it out …" if _has_results(snapshot) else "No run has ended yet."), ""
        outdated = [OUTDATED] if snapshot.analysis_is_outdated else []
        answer, words = law_page(law, self._prediction, self._target, with_truth=self.has_class("-wide"))
        return "\n".join([*outdated, *answer]), "\n".join(words)

    def _nothing(self, document: AnalysisDocument | None) -> str:
        """Why no curve is drawn, if none is."""
        if self._analysing or (document is None and self.kitui.snapshot and _has_results(self.kitui.snapshot)):
            return "working it out …"
        if document is not None and document.curves and self._axis is not FREQUENCY:
            return f"the {self._axis.label} of these runs is not known"
        return "no finished run yet"

    def _law(self) -> LawDocument | None:
        """The law document of what is chosen."""
        if self._document is None:
            return None
        law = self._document.law
        if self._condition is None:
            return law
        return msgspec.structs.replace(
            law,
            collapse_points=tuple(self._points()),
            laws=tuple(
                one
                for one in law.laws
                if all(one.condition.by_field().get(name, value) == value for name, value in self._chosen().items())
            ),
        )

    def _points(self) -> list[CollapsePoint]:
        """The collapse points of what is chosen."""
        points = self._document.law.collapse_points if self._document is not None else ()
        return [point for point in points if self._fits(point.condition)]

    def _fits(self, condition: Condition) -> bool:
        return self._condition is None or _choice(condition) == self._condition

    def _chosen(self) -> dict[str, Any]:
        """The values chosen, by field of a condition."""
        return dict(zip(_CHOSEN_BY, self._condition, strict=True)) if self._condition is not None else {}

    def _curves(self, snapshot: Snapshot, document: AnalysisDocument | None) -> list[Series]:
        if document is None:
            return []
        sizes = looks_of(snapshot.plan)
        if self._condition is None and self._fact_set == fact_sets.OVERALL.name and self._axis is FREQUENCY:
            series = retention_series(snapshot, self._fact_set)
        else:
            series = fitted_series(document, self._fact_set, sizes, axis=self._axis, keep=self._own_curves(document))
        for curve in self._arm_curves:
            if curve.fact_set == self._fact_set:
                condition = curve.condition
                label = f"{size_label(condition.num_params, size_names(document.sizes))} {condition.fill or ''}".strip()
                look = sizes.get(condition.num_params, Look(7, 7))
                series += curve_series(curve, f"{label} in {self._arm}", look, hollow=True, axis=self._axis)
        return series

    def _own_curves(self, document: AnalysisDocument) -> list[RetentionCurve]:
        return [c for c in document.curves if c.fact_set == self._fact_set and self._fits(c.condition)]

    def _condition_words(self) -> str:
        points = self._document.law.collapse_points if self._document is not None else ()
        axes = [TOKENS, *(a for a in differing_axes([p.condition for p in points]) if a is not TOKENS)]
        chosen = self._chosen()
        words = [axis.named(chosen[axis.field]) for axis in axes]
        return ", ".join([*words, chosen["fill"]] if chosen["fill"] else words)

    def verbs(self) -> Mapping[str, bool]:
        return {"next_plot": not self.has_class("-wide")}

    # Actions

    def action_next_plot(self) -> None:
        self.toggle_class("-law-plot")

    def action_show_map(self) -> None:
        """The map in the place of the plots, with the keys in it; and back."""
        self.toggle_class("-map")
        self._show()
        if self.has_class("-map"):
            self.query_one(MapView).focus()
        elif isinstance(self.focused, MapView):
            self.query_one("#law-words").focus()

    @on(MapView.Opened)
    def _open_cell(self, event: MapView.Opened) -> None:
        self.kitui.show_runs(event.expression)

    def action_next_set(self) -> None:
        chosen = fact_sets.FACT_SETS[(fact_sets.NAMES.index(self._fact_set) + 1) % len(fact_sets.FACT_SETS)]
        self._fact_set = chosen.name
        self._forget_target()
        self.notify(f"{chosen.name}: {chosen.about}", timeout=4)
        if self.kitui.snapshot is not None:
            self.show_snapshot(self.kitui.snapshot)

    def _forget_target(self) -> None:
        """It was of what was shown before."""
        self._prediction, self._target = [], None

    def action_next_law(self) -> None:
        """All conditions together, then one after the other."""
        points = self._document.law.collapse_points if self._document else ()
        options: list[tuple[Any, ...] | None] = [None]
        options += dict.fromkeys(_choice(p.condition) for p in points)
        now = options.index(self._condition) if self._condition in options else 0
        self._condition = options[(now + 1) % len(options)]
        self._forget_target()
        self.notify(self._condition_words() if self._condition else "all conditions", timeout=2)
        self._show()

    def action_next_axis(self) -> None:
        """What retention is drawn over: F, how often prior facts were read, the infused share of the text."""
        self._axis = DOSE_AXES[(DOSE_AXES.index(self._axis) + 1) % len(DOSE_AXES)]
        self.notify(f"over {self._axis.label}", timeout=2, markup=False)
        self._show()

    def action_next_arm(self) -> None:
        """The other sweeps of the workspace, one after the other, those of other fill first; then none."""
        snapshot = self.kitui.snapshot
        if snapshot is None:
            return
        others = [row.name for row in snapshot.status.sweeps if row.name != snapshot.sweep]
        options = [None, *others]
        self._arm = options[(options.index(self._arm) + 1) % len(options)] if self._arm in options else None
        self._arm_curves = ()
        if self._arm is not None:
            try:
                document = read_analysis(self.kitui.workspace.sweep(self._arm).law)
            except KituiError:
                document = None
            self._arm_curves = document.curves if document else ()
            self.notify(
                f"beside it: {self._arm}" + ("" if document else " (not analysed yet)"), timeout=2, markup=False
            )
        self._show()

    def action_predict(self) -> None:
        self.query_one("#size", Input).focus()

    def action_leave_field(self) -> None:
        self.query_one("#law-words").focus()

    @on(Input.Submitted)
    def _asked(self) -> None:
        size, budget = self.query_one("#size", Input).value.strip(), self.query_one("#budget", Input).value.strip()
        sweep = self._subject[0] if self._subject else None
        if size and sweep is not None:
            self.query_one("#said", Static).update("working it out …")
            self._predict(str(sweep), size, budget)

    @work(thread=True, exclusive=True, group="prediction")
    def _predict(self, sweep: str, size: str, budget: str) -> None:
        """In a process of its own: SciPy stays out of the app's."""
        of_law = {name: value for name, value in self._chosen().items() if name != TOKENS.field}
        where = " and ".join(f"{name}={value}" for name, value in of_law.items() if value is not None) or None
        found: Prediction | None = None
        try:
            answer = predict_beside(
                self.kitui.workspace, sweep, params=size, tokens=budget or None, where=where, fact_set=self._fact_set
            )
        except (KituiError, OSError) as error:
            lines = [str(error).replace("--params = ", "target N ").replace("--tokens = ", "target D ")]
        else:
            if answer.collapse_frequency is None:
                lines = [f"no prediction at N = {size}: {answer.reason}"]
            else:
                found, lines = answer, prediction_lines(answer)
        self.app.call_from_thread(self._predicted, sweep, lines, found)

    def _predicted(self, sweep: str, lines: list[str], target: Prediction | None) -> None:
        self.query_one("#said", Static).update("")
        if self._subject[0] != sweep:
            return
        self._prediction, self._target = lines, target
        self._show()
        self.query_one("#law-words").scroll_home(animate=False)

    def figure(self) -> tuple[str, str]:
        if self.has_class("-map"):
            return "map", self._fact_set
        is_of_law = self.query_one("#law-plot").has_focus or self.has_class("-law-plot")
        return "law" if is_of_law else "curves", self._fact_set

    def table_text(self) -> str:
        law = self._law()
        if law is None:
            return ""
        table = as_markdown(law_table(law))
        return "\n\n".join([table, "\n".join(f"- {line.strip()}" for line in law_lines(law))])

    def copy_text(self) -> str:
        law = self._law()
        return "\n".join([*self._prediction, *law_lines(law)]) if law else ""


def _choice(condition: Condition) -> tuple[Any, ...]:
    return tuple(condition.by_field().get(name) for name in _CHOSEN_BY)


def _has_results(snapshot: Snapshot) -> bool:
    """Whether there is something to analyse."""
    return snapshot.row is not None and snapshot.row.num(RunStatus.DONE) > 0


def _made_of(document: AnalysisDocument | None) -> object:
    """What tells one analysis of a sweep from another."""
    return None if document is None else (document.inputs, document.analysis_semantics)
