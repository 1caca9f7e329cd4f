"""The terminal app: a viewer of a workspace. A worker thread reads files and posts what it found; screens draw it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import ScreenStackError, SystemCommand
from textual.binding import BindingType
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from engine.errors import KituiError
from engine.records.plan import Plan
from engine.records.workspace import Workspace
from kitui.services.actions import ACTIONS, EVERYWHERE, key_name
from kitui.services.settings import THEMES, Settings, read_settings, remember_theme
from kitui.services.telling import ENDED, Happening, happenings, run_own_command, terminal_notice
from kitui.services.text import printable
from kitui.tui.bindings import bindings
from kitui.tui.live.reader import Reader
from kitui.tui.live.snapshot import Snapshot
from kitui.tui.modes import HIGH_CONTRAST, MODES
from kitui.tui.ordering import GivesOrders
from kitui.tui.screens.base import KituiScreen
from kitui.tui.screens.sweeps import SweepsScreen
from kitui.tui.textual_fixes import letters_only
from kitui.tui.textual_fixes.calling import CallsThroughTerminal
from kitui.tui.textual_fixes.clipboard import CopiesThroughTmux
from kitui.tui.textual_fixes.drawn_at_once import DrawnAtOnce
from kitui.tui.textual_fixes.early_modes import EarlyModes
from kitui.tui.textual_fixes.keys_in_turn import KeysInTurn
from kitui.tui.textual_fixes.sleeping_driver import SleepingDriver

# Where nothing has happened for a while, it is looked at less often: what happens then is still shown within 2 s.
_QUIET_S, _QUIET_REFRESH_S = 3.0, 1.5
_MOST_SAID = 200
_PAINT_S = 0.5  # seconds; the longest that the first paint is waited for


class KituiApp(KeysInTurn, DrawnAtOnce, CopiesThroughTmux, CallsThroughTerminal, EarlyModes, GivesOrders):
    """`sweep`: the one to open; without it the app begins with the list of all."""

    TITLE = "kitui"
    MODES: ClassVar = MODES
    DEFAULT_MODE = "sweeps"
    CSS_PATH = "styles/screens.tcss"  # of all screens: one that brought its own would have all of them styled again
    BINDINGS: ClassVar[list[BindingType]] = bindings(EVERYWHERE)
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"

    class Refreshed(Message):
        """The worker has read something new."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, KituiApp.Refreshed)

    def __init__(
        self,
        workspace: Workspace,
        sweep: str | None = None,
        *,
        read_only: bool = False,
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or read_settings()
        self.workspace = workspace
        self.reader = Reader(workspace, revive=not read_only)
        self.sweep = sweep
        self.read_only = read_only
        self.snapshot: Snapshot | None = None
        self.frozen = False
        self.said: list[tuple[float, str]] = []
        """Notifications with their times, the newest last."""
        self.unsaved: Path | None = None
        """The sweep file that the designer has changes to."""
        self.held: Snapshot | None = None
        """The newest snapshot, while the display is frozen."""
        self._analysed: dict[str, Plan] = {}
        self._wanted_runs: frozenset[str] = frozenset()
        self._wake, self._painted, self._leaving = threading.Event(), threading.Event(), threading.Event()
        self.register_theme(HIGH_CONTRAST)
        self.theme = self.settings.theme
        self.animation_level = "full" if self.settings.animations else "none"
        self.set_keymap(self.keymap)

    @property
    def keymap(self) -> Mapping[str, str]:
        return self.settings.keymap

    def get_driver_class(self) -> type[Driver]:
        chosen = super().get_driver_class()
        return SleepingDriver if chosen is LinuxDriver else chosen  # a browser's, or a test's, is left as it is

    def on_mount(self) -> None:
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not in a test's thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        if self.sweep is not None:
            self.switch_mode("monitor")
        self._read_on()

    def on_unmount(self) -> None:
        self._leaving.set()
        self._painted.set()
        self._wake.set()
        self.reader.leave()

    @work(thread=True, exclusive=True)
    def _read_on(self) -> None:
        """Read the workspace again and again until the app ends."""
        shown, changed_s, worker = 0, time.monotonic(), get_current_worker()
        while True:
            self._wake.clear()
            # Without `_leaving` the app would wait for the worker; the worker's own marks serve an app that broke.
            if self._leaving.is_set() or worker.is_cancelled or worker.is_finished:
                return
            try:
                snapshot = self.reader.read(self.sweep, self._wanted_runs)
            except OSError as error:  # a disk or a share that does not answer: what was shown stays, with the reason
                snapshot = self.reader.troubled(str(error))
            if snapshot.version != shown:
                shown, changed_s = snapshot.version, time.monotonic()
                self.post_message(self.Refreshed(snapshot))
                if shown == 1:
                    self._painted.wait(_PAINT_S)  # reading on at once would hold up what is being drawn
                    continue
                if shown == 2:
                    _load_plots()
                    self.call_later(self._mount_more)
            quiet = time.monotonic() - changed_s > _QUIET_S
            self._wake.wait(max(self.settings.refresh_s, _QUIET_REFRESH_S if quiet else 0.0))

    def on_kitui_app_refreshed(self, message: Refreshed) -> None:
        if self.frozen:
            self.held = message.snapshot
            return
        if self.snapshot is not None:
            self._tell(happenings(self.snapshot.status, message.snapshot.status))
        self.snapshot = message.snapshot
        if self.sweep is None:
            self.sweep = message.snapshot.sweep
        with contextlib.suppress(ScreenStackError):  # the app is leaving
            if isinstance(self.screen, KituiScreen):
                self.screen.take(message.snapshot)
        self._analyse_where_needed(message.snapshot)
        if not self._painted.is_set():
            self.set_timer(0.03, self._painted.set)

    def _tell(self, found: Sequence[Happening]) -> None:
        """Call somebody who looks elsewhere."""
        for one in found:
            self.notify(one.words, severity="information" if one.kind == ENDED else "warning", markup=False)
            if self.settings.notify:
                self.call(terminal_notice(one.words))
            if self.settings.on_end and not self.read_only:
                try:
                    run_own_command(self.settings.on_end, one)
                except OSError as error:
                    self.notify(f"on_end: {error}", severity="error", markup=False)

    async def _mount_more(self) -> None:
        """Make the screens that were not looked at yet, so that going to one is only drawing it."""
        first = self.mounted("sweeps")
        if isinstance(first, SweepsScreen):
            first.add_plot()
        for mode in ("monitor", "law"):  # the designer asks questions, and the hosts' screen is quick
            await self.mount_mode(mode)

    def look_now(self) -> None:
        """Have the worker look at once."""
        self._wake.set()

    def choose_sweep(self, name: str) -> None:
        if name != self.sweep:
            self.sweep = name
            self.look_now()

    def want_runs(self, run_ids: frozenset[str]) -> None:
        """The runs whose curves are wanted although they do not run."""
        if run_ids != self._wanted_runs:
            self._wanted_runs = run_ids
            self.look_now()

    def watch_slots(self, wanted: bool) -> None:
        self.reader.with_gauges = wanted
        self.look_now()

    def design(self, sweep: str | None) -> None:
        """Open the designer on a launched sweep, or on a new one."""
        self.switch_mode("designer")
        self.call_after_refresh(self._design, sweep)

    def _design(self, sweep: str | None) -> None:
        from kitui.tui.designer.screen import DesignerScreen

        if isinstance(self.screen, DesignerScreen):
            self.screen.begin(sweep)

    def show_runs(self, expression: str) -> None:
        """The runs that a filter picks, in the monitor."""
        self.switch_mode("monitor")
        self.call_after_refresh(self._filter_runs, expression)

    def _filter_runs(self, expression: str) -> None:
        from kitui.tui.screens.monitor import MonitorScreen

        if isinstance(self.screen, MonitorScreen):
            self.screen.show_only(expression)

    def obeyed(self) -> None:
        """What an order has changed is looked at now: no record may tell of it."""
        self.reader.forget_clock()
        self.look_now()

    # Analyses that nobody else keeps current

    def _analyse_where_needed(self, snapshot: Snapshot) -> None:
        """Have the sweep at hand analysed where no supervisor does: results from elsewhere, and laws that another
        version of the analysis has left. Once for each plan: one that is imported anew has another."""
        row, plan = snapshot.row, snapshot.plan
        if self.read_only or row is None or plan is None or row.num_open:
            return
        if self._analysed.get(row.name) is not plan and (
            snapshot.analysis_is_outdated or (snapshot.analysis is None and plan.is_foreign)
        ):
            self._analysed[row.name] = plan
            self._analyse(row.name)

    @work(thread=True)
    def _analyse(self, sweep: str) -> None:
        """In a process of its own, which leaves law.json: the reader finds it there."""
        from kitui.services.engine_commands import analysis

        try:
            analysis(self.workspace, sweep)
        except (KituiError, OSError) as error:
            self.tell_fault(error)
        self.look_now()

    # Actions

    def go_to(self, mode: str) -> None:
        self.switch_mode(mode)

    def action_show_mode(self, mode: str) -> None:
        self.go_to(mode)

    def action_command_palette(self) -> None:
        from kitui.tui.textual_fixes.palette import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    async def action_quit(self) -> None:
        if self.unsaved is None:
            self.exit()
            return
        from kitui.tui.screens.confirm import Confirm

        if not isinstance(self.screen, Confirm):  # ctrl+q also works while it asks
            words = f"Leave, and throw away the changes to {self.unsaved}?"
            self.push_screen(Confirm(words), lambda yes: self.exit() if yes else None)

    def action_show_help(self) -> None:
        from kitui.tui.screens.help import Help

        if not isinstance(self.screen, Help):
            self.push_screen(Help(self.screen))

    def action_next_theme(self) -> None:
        self.theme = THEMES[(THEMES.index(self.theme) + 1) % len(THEMES)] if self.theme in THEMES else THEMES[0]
        try:
            remember_theme(self.theme)
        except (KituiError, OSError) as error:
            self.notify(f"{self.theme}, until kitui ends: {error}", severity="warning", markup=False)
        else:
            self.notify(self.theme, timeout=2)

    def action_freeze(self) -> None:
        self.frozen = not self.frozen
        if not self.frozen and self.held is not None:
            self.post_message(self.Refreshed(self.held))
            self.held = None
        if isinstance(self.screen, KituiScreen):
            self.screen.show_top()

    def action_copy(self) -> None:
        copied = getattr(self.screen, "copy_text", lambda: "")()
        if copied:
            self.copy_to_clipboard(copied)
            self.notify(f"copied: {copied[:60]}", timeout=2, markup=False)

    def action_copy_table(self) -> None:
        copied = getattr(self.screen, "table_text", lambda: "")()
        if copied:
            self.copy_to_clipboard(copied)
            self.notify(f"copied as Markdown: {len(copied.splitlines()):,} lines", timeout=2)

    def notify(self, message: str, **options: Any) -> None:
        """Say it, and keep what was said: it is gone from its corner soon."""
        self.said.append((time.time(), message))
        del self.said[:-_MOST_SAID]
        super().notify(message, **options)

    def action_show_said(self) -> None:
        from kitui.tui.screens.page import Page

        lines = [f"{time.strftime('%H:%M:%S', time.localtime(moment_s))}  {words}" for moment_s, words in self.said]
        self.push_screen(Page("What was said", [printable("\n".join(lines)) or "Nothing yet."]))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette lists: the actions that mean something here."""
        place = getattr(screen, "NAME", "")
        for action in ACTIONS:
            if action.where in (EVERYWHERE, place) and not action.name.startswith("command_palette"):
                title = f"{action.label}  ({key_name(self.keymap.get(action.id, action.key))})"
                yield SystemCommand(title, action.help, _runner(self, screen, action.name, action.where))


def _load_plots() -> None:
    """What the other screens need, loaded beside the first: nobody waits for it then."""
    import kitui.tui.screens.law
    import kitui.tui.screens.monitor  # noqa: F401


def _runner(app: KituiApp, screen: Screen[Any], name: str, where: str) -> Any:
    async def run() -> None:
        await app.run_action(name, default_namespace=app if where == EVERYWHERE else screen)

    return run


def run_app(workspace: Workspace, sweep: str | None = None, *, read_only: bool = False) -> None:
    """Open the app and stay until the user leaves it."""
    letters_only.install()
    app = KituiApp(workspace, sweep, read_only=read_only)
    _leave_on_signals(app)
    gc.freeze()  # what is loaded by now stays: never looked through again
    gc.enable()
    with contextlib.suppress(KeyboardInterrupt):
        app.run()


def _leave_on_signals(app: KituiApp) -> None:
    """A closed terminal ends the app at once, also where `nohup` has the signal ignored: without this it would go on
    reading a terminal that is gone, and spin."""

    def hung_up(*_: object) -> None:
        app.reader.leave()
        os._exit(128 + signal.SIGHUP)

    signal.signal(signal.SIGHUP, hung_up)
