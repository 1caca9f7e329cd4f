"""The whole log of a run, as `kitui logs` prints it, and the files that it is made of, of any size; follows, and
searches in the background."""

from __future__ import annotations

import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from engine.records.workspace import RunFolder
from kitui.services.format import size_of_bytes
from kitui.services.run_log import RunLog
from kitui.services.text import printable
from kitui.tui.bindings import bindings
from kitui.tui.live.log_file import LogFile
from kitui.tui.textual_fixes.dismissed_once import DismissedOnce
from kitui.tui.widgets.key_bar import KeyBar
from kitui.tui.widgets.line_input import LineInput

_FOLLOW_S = 0.5
_AS_SENTENCES = "log"


class LogView(Widget, can_focus=True):
    """The lines of a log from `top` on."""

    DEFAULT_CSS = "LogView { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.log_file: LogFile | None = None
        self.top = 0
        self.left = 0
        """Columns that are scrolled out at the left."""
        self.found: int | None = None
        self._lines: list[tuple[int, str]] = []

    def draw(self) -> None:
        """Read what is in view, and draw it if it is not what is shown."""
        read = self.log_file.lines(self.top, self.size.height) if self.log_file else []
        lines = [(line.start, printable(line.text.replace("\t", "    "))) for line in read]
        if lines != self._lines:
            self._lines = lines
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        start, text = self._lines[y]
        style = self.rich_style + Style(reverse=True) if start == self.found else self.rich_style
        line = Strip([Segment(text, style)]).crop(self.left, self.left + width)
        return line.adjust_cell_length(width, self.rich_style)

    def show_columns(self, start: int, length: int) -> None:
        """Scroll sideways, where it is needed, to have these columns in view."""
        width = self.size.width
        if not self.left <= start <= start + length <= self.left + width:
            self.left = max(0, start + length - width + width // 4) if start + length > width else 0

    def text_at(self, start: int) -> str:
        """The text of the line in view that begins at this place."""
        return next((text for place, text in self._lines if place == start), "")

    @property
    def end(self) -> int:
        """Where what is in view ends, as far as it has been read."""
        return self._lines[-1][0] + len(self._lines[-1][1].encode()) + 1 if self._lines else 0

    def on_resize(self) -> None:
        self.draw()


class LogScreen(DismissedOnce, Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = bindings("log")

    def __init__(self, folder: RunFolder) -> None:
        super().__init__()
        self._folder = folder
        self._aside = TemporaryDirectory(prefix="kitui-log-")
        self._words = Path(self._aside.name) / "log"
        self._files = (LogFile(self._words), LogFile(folder.log), LogFile(folder.metrics))
        self._which = 0
        self._leaving = threading.Event()
        self._complaint = ""
        self._following = True
        self._sought = ""

    def compose(self) -> ComposeResult:
        yield Static("", id="log-title", markup=False)
        yield LogView()
        yield LineInput(placeholder="search; small letters find capitals too")
        yield KeyBar("log")

    def on_mount(self) -> None:
        self._view.log_file = self._file
        # Not a worker: leaving would wait for it.
        threading.Thread(target=self._write_down, daemon=True).start()
        self._view.focus()
        self.set_interval(_FOLLOW_S, self._look)
        self.call_after_refresh(self.action_to_end)

    def on_unmount(self) -> None:
        self._leaving.set()
        for file in self._files:
            file.close()

    def _write_down(self) -> None:
        """The log in sentences, into a file aside: it may be long, and is searched and scrolled like any other."""
        log = RunLog(self._folder)
        try:
            with self._words.open("w", encoding="utf-8") as out:
                while not self._leaving.is_set():
                    lines = log.read_new()
                    out.writelines(f"{line}\n" for line in lines)
                    out.flush()
                    if not lines:
                        self._leaving.wait(_FOLLOW_S)
        except OSError as error:  # no room: the run's own files are still there
            self._complaint = str(error)
        finally:
            self._aside.cleanup()

    @property
    def _file(self) -> LogFile:
        return self._files[self._which]

    @property
    def _view(self) -> LogView:
        return self.query_one(LogView)

    def _look(self) -> None:
        """See whether the file has grown."""
        if self._file.refresh():
            if self._following:
                self._view.top = self._file.last(self._view.size.height)
            self._draw()

    def _draw(self) -> None:
        self._view.draw()
        size = self._file.size
        name = _AS_SENTENCES if self._which == 0 else self._file.path.name
        part = f"{min(100.0, 100 * self._view.end / size):.0f} %" if size else "empty"
        part += f"  from column {self._view.left + 1}" if self._view.left else ""
        following = "  following" if self._following else ""
        words = f" {self._folder.root.name}  {name}  {size_of_bytes(size)}  {part}{following}"
        words += f"  ! {printable(self._complaint)}" if self._complaint else ""
        self.query_one("#log-title", Static).update(words)

    def _go(self, place: int) -> None:
        last = self._file.last(self._view.size.height)
        self._view.top = max(0, min(place, last))
        self._following = self._view.top >= last
        self._draw()

    def action_scroll(self, lines: int) -> None:
        top = self._view.top
        self._go(self._file.forward(top, lines) if lines > 0 else self._file.back(top, -lines))

    def action_scroll_page(self, pages: int) -> None:
        self.action_scroll(pages * max(1, self._view.size.height - 1))

    def on_mouse_scroll_down(self) -> None:
        self.action_scroll(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_scroll(-3)

    def action_sideways(self, way: int) -> None:
        """Half a width to the left or right."""
        self._view.left = max(0, self._view.left + way * self._view.size.width // 2)
        self._draw()

    def action_to_start(self) -> None:
        self._go(0)

    def action_to_end(self) -> None:
        self._go(self._file.size)

    def action_follow(self) -> None:
        self.action_to_end()

    def action_next_file(self) -> None:
        self._which = (self._which + 1) % len(self._files)
        self._file.refresh()
        self._view.log_file = self._file
        self._view.found = None
        self.action_to_end()

    def action_close(self) -> None:
        box = self.query_one(Input)
        if box.has_class("-open"):
            box.remove_class("-open")
            self._view.focus()
        else:
            self.dismiss()

    def action_search(self) -> None:
        box = self.query_one(Input)
        box.add_class("-open")
        box.focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self._sought = event.value
        self.query_one(Input).remove_class("-open")
        self._view.focus()
        self._view.found = None
        self.action_again(1)

    def action_again(self, way: int) -> None:
        if self._sought:
            self._search(self._sought, way)

    @work(thread=True, exclusive=True)
    def _search(self, text: str, way: int) -> None:
        view = self._view
        file = LogFile(self._file.path)  # its own: the one on the screen is opened again whenever it has grown
        file.refresh()
        if way < 0:
            place = file.find(text, view.found if view.found is not None else view.top, backwards=True)
        else:
            start = view.top if view.found is None else file.forward(view.found, 1)
            place = None if view.found is not None and start == view.found else file.find(text, start)
        file.close()
        self.app.call_from_thread(self._found, text, place)

    def _found(self, text: str, place: int | None) -> None:
        view = self._view
        if place is None:
            where = "nowhere else there" if view.found is not None else "not there, from here on"
            self.notify(f"{printable(text)!r} is {where}", timeout=2, markup=False)
            return
        view.found = place
        self._go(self._file.back(place, view.size.height // 3))
        line = view.text_at(place)
        at = line.find(text) if any(c.isupper() for c in text) else line.lower().find(text)
        if at >= 0:
            view.show_columns(at, len(text))
            view.draw()
