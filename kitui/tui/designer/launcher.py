"""Launching what was planned, beside the app: caps are asked for first, where runs go to other machines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from engine.errors import KituiError
from engine.records.states import LOCAL
from kitui.services.caps import caps_of
from kitui.services.engine_commands import PlannedSweep
from kitui.services.format import number
from kitui.services.launching import check_targets, launch
from kitui.tui.application import Application
from kitui.tui.screens.confirm import Ask


class Launcher:
    """Launches on these hosts; `done` is told the sweep's name on the app's own thread."""

    def __init__(
        self, app: Application, hosts: Sequence[str], gpu_hours: float | None, done: Callable[[str], None]
    ) -> None:
        self._app, self._hosts, self._gpu_hours, self._done = app, list(hosts), gpu_hours, done

    def start(self, planned: PlannedSweep) -> None:
        others = [host for host in self._hosts if host != LOCAL]

        def decided(text: str | None) -> None:
            if text is None:
                return
            try:
                caps = caps_of(self._app.workspace, text.split())
                check_targets(self._app.workspace, self._hosts, None, caps)
            except KituiError as error:
                self._app.notify(str(error), severity="error", markup=False)
                return
            self._app.notify("launching …", timeout=3)
            self._launch_beside(planned, caps)

        if not others:
            decided("")
            return
        question = f"Caps in GPU-hours, or in money as $50? All runs take about {number(self._gpu_hours)}."
        self._app.push_screen(Ask(question, " ".join(f"{host}=none" for host in others)), decided)

    def _launch_beside(self, planned: PlannedSweep, caps: dict[str, float | None]) -> None:
        threading.Thread(target=self._launch, args=(planned, caps), daemon=True).start()

    def _launch(self, planned: PlannedSweep, caps: dict[str, float | None]) -> None:
        """What was planned is what is launched: nothing is read or planned again."""
        try:
            answer = launch(self._app.workspace, planned, hosts=self._hosts, caps=caps)
        except (KituiError, OSError) as error:
            again = partial(self._app.call_from_thread, self._launch_beside, planned, caps)
            self._app.with_current_supervisor(error, again)
            return
        self._app.call_from_thread(self._done, answer.sweep)
