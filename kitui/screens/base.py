"""What the screens share: the top line, the footer, and being told of each new snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer

from kitui.snapshot import Snapshot
from kitui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from kitui.app import KituiApp


class KituiScreen(Screen[None]):
    """A mode of the app. `show_snapshot` draws; it is called for each new snapshot while the screen is shown."""

    NAME: ClassVar[str]
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    CSS_PATH = "../styles/screens.tcss"

    @property
    def kitui(self) -> KituiApp:
        return cast("KituiApp", self.app)

    def compose(self) -> ComposeResult:
        yield TopBar(self.NAME)
        yield from self.compose_body()
        yield Footer(compact=True, show_command_palette=False)

    def compose_body(self) -> ComposeResult:
        raise AssertionError("each screen has a body")

    def on_screen_resume(self) -> None:
        if self.kitui.snapshot is not None:
            self.call_after_refresh(self._draw, self.kitui.snapshot)

    def take(self, snapshot: Snapshot) -> None:
        """Draw a new snapshot, if this screen is mounted."""
        if self.is_mounted and self.is_current:
            self._draw(snapshot)

    def _draw(self, snapshot: Snapshot) -> None:
        self.query_one(TopBar).show(snapshot)
        self.show_snapshot(snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        raise AssertionError("each screen shows a snapshot")
