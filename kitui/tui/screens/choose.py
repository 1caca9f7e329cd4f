"""Choose from what there is: one thing, or several by marking them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from engine.errors import KituiError
from kitui.services.choices import Choice, Offer
from kitui.services.format import short_path
from kitui.services.text import printable
from kitui.tui.application import application
from kitui.tui.bindings import bindings, key_words
from kitui.tui.screens.over import OverScreen
from kitui.tui.widgets.line_table import Column, LineTable

_REST_S = 0.12
_COLUMNS = (Column("marked", "", 1), Column("label", "choice", 26), Column("about", "", 40))


class Choose(OverScreen[str]):
    """Ends with what was chosen, parted by commas, or with nothing after escape."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("choose")
    DEFAULT_CSS = """
    Choose { align: center middle; }
    Choose Vertical { width: 74; max-width: 96%; height: 90%; border: round $primary; padding: 0 1;
                      background: $surface; }
    Choose LineTable { height: 1fr; }
    Choose #glimpse { height: auto; max-height: 7; border-top: solid $foreground-muted; }
    Choose #choose-keys { height: 1; color: $text-muted; }
    """

    def __init__(self, offer: Offer) -> None:
        super().__init__()
        self._offer = offer
        self._chosen = list(offer.chosen)
        self._folder = offer.folder

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self._offer.title
            yield LineTable(_COLUMNS, self._texts, lambda choice: choice.label, empty="  nothing to choose from")
            yield Static("", id="glimpse", markup=False)
            words = key_words("choose", application(self).keymap, without="" if self._offer.several else "mark")
            yield Static(words, id="choose-keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(LineTable).focus()
        self._list(self._folder)

    @work(thread=True, exclusive=True, group="list")
    def _list(self, folder: Path | None, come_from: str = "") -> None:
        """Read what there is, and show it with the cursor on what is chosen, or on the folder one has come from."""
        found: list[Choice] = []
        fault = ""
        try:
            found = self._offer.listed(folder)
        except (KituiError, OSError) as error:
            fault = f"! {error}"
        self.app.call_from_thread(self._listed, folder, found, come_from, fault)

    def _listed(self, folder: Path | None, found: list[Choice], come_from: str, fault: str) -> None:
        self._folder = folder
        if folder is not None:
            self.query_one(Vertical).border_title = f"{self._offer.title}: {printable(short_path(folder))}"
        table = self.query_one(LineTable)
        table.show(found)
        first = next((c for c in found if c.value in self._chosen and not c.folder), None)
        table.action_move_to(0)
        table.go_to(come_from or (first.label if first else ""))
        self.query_one("#glimpse", Static).update(printable(fault))

    @on(LineTable.Moved)
    def _moved(self) -> None:
        choice = self.query_one(LineTable).current
        if choice is not None:
            self.set_timer(_REST_S, lambda: self._look_into(choice))

    def _look_into(self, choice: Choice) -> None:
        if self.query_one(LineTable).current == choice:
            self._read(choice)

    @work(thread=True, exclusive=True, group="glimpse")
    def _read(self, choice: Choice) -> None:
        words = printable("\n".join(self._offer.glimpse(choice)))
        self.app.call_from_thread(self._show, choice, words)

    def _show(self, choice: Choice, words: str) -> None:
        if self.is_mounted and self.query_one(LineTable).current == choice:
            self.query_one("#glimpse", Static).update(words)

    def _texts(self, choice: Choice) -> list[str]:
        sign = "●" if choice.value in self._chosen and not choice.folder else ""
        return [sign, printable(choice.label), printable(choice.about)]

    def action_mark(self) -> None:
        table = self.query_one(LineTable)
        choice = table.current
        if not self._offer.several or choice is None:
            return
        if choice.value in self._chosen:
            self._chosen.remove(choice.value)
        else:
            self._chosen.append(choice.value)
        table.redraw()
        table.action_move(1)

    @on(LineTable.Opened)
    def action_take(self) -> None:
        """Go into the folder, or end with what is marked: with the line at hand where nothing is."""
        table = self.query_one(LineTable)
        choice = table.current
        if choice is None:
            return
        if choice.folder:
            before = f"{self._folder.name}/" if choice.label == ".." and self._folder is not None else ""
            self._list(Path(choice.value), before)
        elif not self._offer.several:
            self.dismiss(choice.value)
        else:
            order = {c.value: i for i, c in enumerate(table.rows)}  # what is no choice here stays, behind the others
            marked = sorted(self._chosen, key=lambda value: order.get(value, len(order)))
            self.dismiss(", ".join(marked or [choice.value]))

    def action_leave(self) -> None:
        self.dismiss(None)
