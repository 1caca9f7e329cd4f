"""Orders from the app to the supervisor: handed over beside the screen, with what came of them said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual import work
from textual.app import App

from engine.errors import KituiError
from engine.records.workspace import Workspace
from kitui.services.orders import give

if TYPE_CHECKING:
    _App = App[None]
else:
    _App = App


class GivesOrders(_App):
    """A part of the app: what it shows stands in another."""

    workspace: Workspace
    read_only: bool

    def obeyed(self) -> None:
        """Called in a thread when an order has been carried out."""
        raise AssertionError("the app looks at what has changed")

    def order(self, verb: str, names: Sequence[str], **details: object) -> None:
        """Hand an order to the supervisor, and say what came of it."""
        if self.read_only:
            self.notify("This view is read-only.", severity="warning")
            return
        self._give(verb, tuple(names), details)

    @work(thread=True)
    def _give(self, verb: str, names: tuple[str, ...], details: dict[str, object]) -> None:
        try:
            words = give(self.workspace, verb, names, **details)
        except (KituiError, OSError) as error:
            again = partial(self.call_from_thread, self._give, verb, names, details)
            self.with_current_supervisor(error, again)
            return
        self.call_from_thread(self.notify, words)
        self.obeyed()

    def tell_fault(self, error: Exception) -> None:
        """Say what went wrong in a thread beside the app."""
        self.call_from_thread(self.notify, str(error), severity="error", markup=False)

    def with_current_supervisor(self, error: Exception, again: Callable[[], object]) -> None:
        """Tell of a fault; where it is that the supervisor is of an older kitui, offer to replace it, and then do
        `again` what failed. Called from a thread."""
        from engine.control.commands.queue import OlderSupervisorError

        if isinstance(error, OlderSupervisorError):
            self.call_from_thread(self._offer_to_replace, error, again)
        else:
            self.tell_fault(error)

    def _offer_to_replace(self, error: KituiError, again: Callable[[], object]) -> None:
        from kitui.tui.screens.confirm import Confirm

        def decided(yes: bool | None) -> None:
            if yes:
                self._replace_supervisor(again)

        self.push_screen(Confirm(f"{error.what} Replace it? All runs go on."), decided)

    @work(thread=True)
    def _replace_supervisor(self, again: Callable[[], object]) -> None:
        from engine.control.commands.queue import restart_supervisor

        try:
            restart_supervisor(self.workspace)
        except (KituiError, OSError) as error:
            self.tell_fault(error)
            return
        again()
