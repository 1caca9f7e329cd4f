"""What a draft will take, worked out beside the app: by the planning command, and by measuring this machine once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from engine.errors import KituiError
from kitui.services.draft import FIELDS, words_of, written_aside
from kitui.services.engine_commands import PlannedSweep, plan_sweep
from kitui.services.planning import PlanDocument, document_of, measure
from kitui.tui.application import Application


class Outcome(NamedTuple):
    """What came of planning a draft: a note on how far it is, and the plan or what is wrong, by field."""

    note: str
    planned: PlannedSweep | None = None
    plan: PlanDocument | None = None
    faults: Mapping[str, str] = MappingProxyType({})


class Planner:
    """Plans drafts, each in a thread of its own. What is no longer the newest is not told any more."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self.newest = 0
        """The generation of the draft as it is now."""
        self._measuring = threading.Lock()

    def start(self, text: str, generation: int, tell: Callable[[int, Outcome], None]) -> None:
        """`tell` is called on the app's own thread, as far as it is known: without the time it takes, and with it."""
        # Not a worker: leaving the app would wait for it, and measuring a machine takes a while.
        threading.Thread(target=self._work_out, args=(text, generation, tell), daemon=True).start()

    def _work_out(self, text: str, generation: int, tell: Callable[[int, Outcome], None]) -> None:
        """On a copy: nothing is saved by looking."""
        app = self._app

        def say(outcome: Outcome) -> None:
            if generation == self.newest and app.is_running:
                app.call_later(tell, generation, outcome)

        try:
            with written_aside(text) as path:
                planned = plan_sweep(path, app.workspace)
            without_time = document_of(planned, app.workspace, None)
            if app.read_only:  # measuring would write what it finds
                say(Outcome("read-only: this machine's speed is not measured", planned, without_time))
                return
            say(Outcome("measuring this machine's speed …", planned, without_time))
            app.workspace.create()  # what is measured is kept there: once for each size, not at each change
            with self._measuring:  # one at a time: what an earlier draft has begun serves this one, too
                if generation == self.newest:
                    say(Outcome("", planned, document_of(planned, app.workspace, measure(planned, app.workspace))))
        except KituiError as error:
            if error.key in {field.key for field in FIELDS}:
                say(Outcome("1 field to mend first", faults={error.key: words_of(error, beside=True)}))
            else:
                say(Outcome(words_of(error)))
        except OSError as error:
            say(Outcome(str(error)))
