"""What the screens share: the top line, the footer, and being told of each new snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from engine.errors import KituiError
from kitui.tui.application import Application, application
from kitui.tui.live.snapshot import Snapshot
from kitui.tui.widgets.key_bar import KeyBar
from kitui.tui.widgets.line_table import LineTable
from kitui.tui.widgets.top_bar import TopBar

_SOON_S = 0.005


class KituiScreen(Screen[None]):
    """A mode of the app. `show_snapshot` draws; it is called for each new snapshot while the screen is shown."""

    NAME: ClassVar[str]
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (110, "-wide")]

    _rest: Timer | None = None
    _is_whole = False
    """Whether all that it is composed of has been mounted: what stands in a container is mounted after it. What comes
    later, as notifications do, may be on its way out at any time, and is not waited for."""

    @property
    def kitui(self) -> Application:
        return application(self)

    def compose(self) -> ComposeResult:
        yield TopBar(self.NAME)
        yield from self.compose_body()
        yield KeyBar(self.NAME)

    def compose_body(self) -> ComposeResult:
        raise AssertionError("each screen has a body")

    def rested(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call back when this has not been asked for again for so long. A Textual timer that has fired is spent."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(delay_s, callback)

    def on_screen_resume(self) -> None:
        if self.kitui.snapshot is not None:
            self._draw(self.kitui.snapshot)

    def take(self, snapshot: Snapshot) -> None:
        """Draw a new snapshot, if this screen is mounted."""
        if self.is_mounted and self.is_current:
            self._draw(snapshot)

    def _draw(self, snapshot: Snapshot) -> None:
        if not self.kitui.is_running:  # what it is composed of is being taken away
            return
        self._is_whole = self._is_whole or all(widget.is_mounted for widget in self.walk_children(Widget))
        if not self._is_whole:
            self.set_timer(_SOON_S, self._draw_latest)
            return
        self.show_top()
        self.show_snapshot(snapshot)

    def _draw_latest(self) -> None:
        if self.kitui.snapshot is not None:
            self.take(self.kitui.snapshot)

    def show_top(self) -> None:
        if self.kitui.snapshot is not None:
            self.query_one(TopBar).show(self.kitui.snapshot, frozen=self.kitui.frozen, read_only=self.kitui.read_only)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        raise AssertionError("each screen shows a snapshot")

    def verbs(self) -> Mapping[str, bool]:
        """Which actions mean something for what is chosen now, and which do not; others are as the registry says."""
        return {}

    def show_keys(self) -> None:
        """Bring the line of keys up to date with what is chosen."""
        self.query_one(KeyBar).draw(self.verbs())

    def action_enlarge(self) -> None:
        """The pane that the keys go to alone on the screen; then all again."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)

    def figure(self) -> tuple[str, str] | None:
        """Which figure shows what the focused pane does, and of which fact set; None where there is none."""
        return None

    def action_save_figure(self) -> None:
        """Ask for a name, and have the figure drawn beside the app."""
        wanted, sweep = self.figure(), self.kitui.sweep
        if wanted is None or sweep is None:
            self.notify("Nothing here is a figure: curves, the law and the map are.", timeout=3)
            return
        from kitui.tui.screens.confirm import Ask

        kind, fact_set = wanted

        def decided(text: str | None) -> None:
            if text:
                self._save_figure(sweep, kind, fact_set, Path(text).expanduser())

        name = Path.cwd() / f"{sweep}-{kind}.svg"
        self.app.push_screen(Ask("Save the figure as (.svg, .pdf or .png)", str(name)), decided)

    @work(thread=True, group="figure")
    def _save_figure(self, sweep: str, kind: str, fact_set: str, path: Path) -> None:
        from kitui.services.subprocesses import figure_beside

        try:
            figure_beside(self.kitui.workspace, sweep, kind, path, fact_set=fact_set)
        except (KituiError, OSError) as error:
            self.kitui.tell_fault(error)
            return
        self.app.call_from_thread(self.notify, f"saved: {path}", markup=False)

    def table_text(self) -> str:
        """What is copied as Markdown: the table of the screen."""
        return self.query(LineTable).first().markdown() if self.query(LineTable) else ""

    def copy_text(self) -> str:
        """What the copy action copies here."""
        return self.kitui.sweep or ""
