"""The last line: what the keys do here. One widget for all of them: Textual's Footer mounts one for each."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text
from textual import events
from textual.widgets import Input, Static

from kitui.services.actions import ACTIONS, EVERYWHERE, Action, is_for_field, key_name
from kitui.tui.application import application


class KeyBar(Static):
    """Keys of the screen and of the focused widget, in the order of the registry; a click on one is its key."""

    DEFAULT_CSS = "KeyBar { dock: bottom; height: 1; background: $panel; color: $foreground; }"

    def __init__(self, where: str) -> None:
        super().__init__("", markup=False)
        self._where = where
        self._places: list[tuple[int, int, str]] = []
        self._shown: tuple[object, ...] = ()
        self._typing = False
        self._verbs: Mapping[str, bool] = {}

    def on_mount(self) -> None:
        self.watch(self.screen, "focused", self._focused)

    def _focused(self) -> None:
        self.draw()

    def on_resize(self) -> None:
        self.draw()

    def draw(self, verbs: Mapping[str, bool] | None = None) -> None:
        """`verbs`: which actions mean something now and which do not, where that is not always the same."""
        self._verbs = self._verbs if verbs is None else verbs
        focused = self.screen.focused
        within = {"CurvePlot": "plot", "MapView": "map"}.get(type(focused).__name__, self._where)
        self._typing = isinstance(focused, Input)
        shown = (within, self._typing, self.size.width, tuple(self._verbs.items()))
        if shown == self._shown:
            return
        self._shown, self._places = shown, []
        text = Text(no_wrap=True)
        first = [a for a in ACTIONS if a.where == within and self._is_shown(a)]
        if within != self._where:  # what the screen's own keys do is still done
            first += [a for a in ACTIONS if a.where == self._where and self._is_shown(a)]
        last = [a for a in ACTIONS if a.show and a.where == EVERYWHERE and "show_mode" not in a.name]
        room = sum(len(words[1]) for a in last if (words := self._words(a)))
        for action in first:
            self._add(text, action, max(20, self.size.width) - room)
        for action in last:
            self._add(text, action, max(20, self.size.width))
        self.update(text)

    def _is_shown(self, action: Action) -> bool:
        if self._typing and action.name == "leave_field":
            return True
        return self._verbs.get(action.name, action.show) if action.where == self._where else action.show

    def _words(self, action: Action) -> tuple[str, str] | None:
        """The key, and what is shown of the action; nothing where in a field the key is a letter like others."""
        keys = application(self).keymap.get(action.id, action.key).split(",")
        key = next((k for k in keys if not (self._typing and is_for_field(k))), None)
        return None if key is None else (key, f" {key_name(key)} {action.label} ")

    def _add(self, text: Text, action: Action, columns: int) -> None:
        key, words = self._words(action) or ("", "")
        if key and text.cell_len + len(words) <= columns:
            self._places.append((text.cell_len, text.cell_len + len(words), key))
            text.append(f" {key_name(key)}", style="bold")
            text.append(f" {action.label} ")

    def on_click(self, event: events.Click) -> None:
        for start, end, key in self._places:
            if start <= event.x < end:
                self.app.simulate_key(key)
