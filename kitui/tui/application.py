"""What screens may ask of the app. The app knows its screens; they know only this of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from textual.dom import DOMNode

from engine.records.workspace import Workspace
from kitui.tui.live.snapshot import Snapshot


class Application(Protocol):
    workspace: Workspace
    read_only: bool
    frozen: bool
    snapshot: Snapshot | None
    sweep: str | None
    unsaved: Path | None
    """The sweep file that the designer has changes to."""

    @property
    def keymap(self) -> Mapping[str, str]:
        """The user's own keys, by the id of the action."""

    @property
    def is_running(self) -> bool: ...

    def choose_sweep(self, name: str) -> None:
        """The sweep that all screens are about."""

    def want_runs(self, run_ids: frozenset[str]) -> None:
        """The runs whose curves are wanted although they do not run."""

    def watch_slots(self, wanted: bool) -> None:
        """Whether what the slots do is shown."""

    def design(self, sweep: str | None) -> None:
        """Open the designer on a launched sweep, or on a new one."""

    def go_to(self, mode: str) -> None:
        """Show another screen."""

    def show_runs(self, expression: str) -> None:
        """The runs that a filter picks, in the monitor."""

    def order(self, verb: str, names: Sequence[str], **details: object) -> None:
        """Hand an order to the supervisor, and say what came of it."""

    def tell_fault(self, error: Exception) -> None:
        """Say what went wrong in a thread beside the app."""

    def with_current_supervisor(self, error: Exception, again: Callable[[], object]) -> None:
        """Tell of a fault; where it is that the supervisor is of an older kitui, offer to replace it, and then do
        `again` what failed."""

    def notify(self, message: str, **options: Any) -> None:
        """Say something in a corner for a while."""

    def push_screen(self, screen: Any, callback: Callable[[Any], None] | None = None) -> Any:
        """Ask something over the screen; the callback has the answer."""

    def call_later(self, callback: Callable[..., Any], *args: Any) -> bool: ...

    def call_from_thread(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...


def application(node: DOMNode) -> Application:
    """The app that a screen or a widget belongs to."""
    return cast("Application", node.app)
