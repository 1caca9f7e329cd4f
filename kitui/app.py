"""The terminal app: a viewer of a workspace. A worker thread reads files and posts what it found; screens draw it."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import work
from textual.app import App
from textual.binding import BindingType
from textual.message import Message
from textual.worker import get_current_worker

from engine.control.commands import submit
from engine.errors import KituiError
from engine.records.workspace import Workspace
from kitui.actions import EVERYWHERE, bindings
from kitui.screens.base import KituiScreen
from kitui.screens.help import Help
from kitui.screens.law import LawScreen
from kitui.screens.monitor import MonitorScreen
from kitui.screens.sweeps import SweepsScreen
from kitui.snapshot import Reader, Snapshot

_REFRESH_S = 0.5


class KituiApp(App[None]):
    """`sweep`: the one to open; without it the app begins with the list of all."""

    TITLE = "kitui"
    MODES: ClassVar = {"sweeps": SweepsScreen, "monitor": MonitorScreen, "law": LawScreen}
    DEFAULT_MODE = "sweeps"
    BINDINGS: ClassVar[list[BindingType]] = bindings(EVERYWHERE)
    ENABLE_COMMAND_PALETTE = True

    class Refreshed(Message):
        """The worker has read something new."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

    def __init__(self, workspace: Workspace, sweep: str | None = None) -> None:
        super().__init__()
        self._workspace = workspace
        self._reader = Reader(workspace)
        self.sweep = sweep
        self.snapshot: Snapshot | None = None
        self._wanted_runs: frozenset[str] = frozenset()

    def on_mount(self) -> None:
        if self.sweep is not None:
            self.switch_mode("monitor")
        self._read_on()

    @work(thread=True, exclusive=True)
    def _read_on(self) -> None:
        """Read the workspace twice a second until the app ends."""
        worker = get_current_worker()
        shown = 0
        while not worker.is_cancelled:
            snapshot = self._reader.read(self.sweep, self._wanted_runs)
            if snapshot.version != shown:
                shown = snapshot.version
                self.post_message(self.Refreshed(snapshot))
            time.sleep(_REFRESH_S)

    def on_kitui_app_refreshed(self, message: Refreshed) -> None:
        self.snapshot = message.snapshot
        if self.sweep is None:
            self.sweep = message.snapshot.sweep
        if isinstance(self.screen, KituiScreen):
            self.screen.take(message.snapshot)

    def choose_sweep(self, name: str) -> None:
        self.sweep = name

    def want_runs(self, run_ids: frozenset[str]) -> None:
        """The runs whose curves are wanted although they do not run."""
        self._wanted_runs = run_ids

    @work(thread=True)
    def command(self, command: str, names: list[str]) -> None:
        """Hand a command to the supervisor, and say what came of it."""
        try:
            answer = submit(self._workspace, {"command": command, "names": names})
        except KituiError as error:
            self.call_from_thread(self.notify, str(error), severity="error", markup=False)
            return
        done = "cancelled" if command == "cancel" else "queued again"
        words = f"{answer.get('cancelled', answer.get('retried', 0))} runs {done}"
        self.call_from_thread(self.notify, words)

    def action_show_mode(self, mode: str) -> None:
        self.switch_mode(mode)

    def action_show_help(self) -> None:
        if not isinstance(self.screen, Help):
            self.push_screen(Help())

    def action_toggle_light(self) -> None:
        self.theme = "textual-dark" if self.theme == "textual-light" else "textual-light"


def run_app(workspace: Workspace, sweep: str | None = None) -> None:
    """Open the app and stay until the user leaves it."""
    KituiApp(workspace, sweep).run()
