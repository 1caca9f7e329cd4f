"""What the sweep says: retention with its collapse points, F* over size with the law, and the law in words."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from kitui.actions import bindings
from kitui.plots import collapse_marks, frequency_limits, law_limits, law_series, retention_series
from kitui.reporting import collapse_table, law_lines
from kitui.screens.base import KituiScreen
from kitui.snapshot import Snapshot
from kitui.widgets.curve_plot import CurvePlot


class LawScreen(KituiScreen):
    NAME = "law"
    BINDINGS: ClassVar[list[BindingType]] = bindings("law")

    def compose_body(self) -> ComposeResult:
        yield CurvePlot("Retention", log_x=True, id="collapse-plot")
        yield CurvePlot("Collapse point over size", log_x=True, log_y=True, id="law-plot")
        with VerticalScroll(id="law-words"):
            yield Static("", id="points", markup=False)
            yield Static("", id="words", markup=False)

    def on_mount(self) -> None:
        self._words: object = None

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.query_one("#collapse-plot", CurvePlot).show(
            retention_series(snapshot, "overall"),
            title="R over F, overall; lines: F* observed",
            view=(snapshot.sweep, "collapse"),
            x_limits=frequency_limits(snapshot),
            marks=collapse_marks(snapshot),
            y_limits=(-0.1, 1.05),
            empty="no finished run yet",
        )
        x_limits, y_limits = law_limits(snapshot)
        self.query_one("#law-plot", CurvePlot).show(
            law_series(snapshot),
            title="F* over N, with 95 % intervals",
            view=(snapshot.sweep, "law", x_limits, y_limits),
            x_limits=x_limits,
            y_limits=y_limits,
            empty="no collapse point observed yet",
        )
        if snapshot.law is not None and self._words is not snapshot.law:
            self._words = snapshot.law
            law = snapshot.law["law"]
            self.query_one("#points", Static).update(collapse_table(law["collapse_points"]))
            self.query_one("#words", Static).update("\n".join(["", *law_lines(law)]))
        elif snapshot.law is None:
            self._words = None
            self.query_one("#points", Static).update("")
            self.query_one("#words", Static).update("Nothing is analysed before the first run has ended.")

    def action_next_plot(self) -> None:
        self.toggle_class("-law-plot")
