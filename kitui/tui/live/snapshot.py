"""What the app shows at one moment, as one value that is handed from the reader to the screens."""

from __future__ import annotations

from typing import NamedTuple

from engine.records.analysis import AnalysisDocument
from engine.records.plan import Plan
from engine.records.status import StatusDocument, SweepStatus
from kitui.services.learning_curve import NO_CURVE, LearningCurve
from kitui.services.rows import RunRow
from kitui.tui.live.gauges import Gauge


class Snapshot(NamedTuple):
    """Everything on the screens. `version` grows with each change; equal versions are equal. A part that did not change
    is the same object as before, so that a screen sees by `is` what it need not draw."""

    version: int
    status: StatusDocument
    sweep: str | None
    plan: Plan | None
    rows: list[RunRow]
    analysis: AnalysisDocument | None
    curves: dict[str, LearningCurve]
    """By run: those running, and those asked for."""
    gauges: tuple[Gauge, ...]
    """What the slots do, while a screen shows it."""
    news: tuple[str, ...]
    """Since you left."""
    error: str | None
    analysis_is_outdated: bool = False
    """Whether another analysis than this kitui's made what is shown."""

    @property
    def row(self) -> SweepStatus | None:
        """The status of the sweep at hand."""
        return self.status.sweep(self.sweep)

    def curve_of(self, run_id: str | None) -> LearningCurve:
        """The run's curve, empty where it is not followed."""
        return self.curves.get(run_id or "", NO_CURVE)
