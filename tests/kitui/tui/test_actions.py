"""Every action of the registry, pressed: each has a case here that says what it is to change."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from textual.containers import VerticalScroll
from textual.events import AppBlur, AppFocus
from textual.pilot import Pilot
from textual.widgets import Input, Static

from engine.control.commands.queue import pending_commands
from engine.records.commands import (
    Archive,
    Cancel,
    Command,
    Delete,
    Drain,
    Launch,
    Launched,
    Obeyed,
    Pause,
    Reopen,
    Resume,
    Retry,
)
from engine.records.record import encoded
from engine.records.workspace import Workspace, write_atomically
from kitui.services.actions import ACTIONS, EVERYWHERE, PLACES
from kitui.services.columns import RUN_VALUES
from kitui.services.simulating import simulate_sweep
from kitui.tui.app import KituiApp
from kitui.tui.designer.group import Group, GroupTitle
from kitui.tui.designer.screen import DesignerScreen
from kitui.tui.plot.draw import state_words
from kitui.tui.plot.map_view import MapView
from kitui.tui.plot.widget import CurvePlot
from kitui.tui.screens.choose import Choose
from kitui.tui.screens.confirm import Ask, Confirm
from kitui.tui.screens.help import Help
from kitui.tui.screens.law import LawScreen
from kitui.tui.screens.log import LogScreen, LogView
from kitui.tui.screens.monitor import MonitorScreen
from kitui.tui.screens.page import Page
from kitui.tui.widgets.filter_bar import FilterBar
from kitui.tui.widgets.key_bar import KeyBar
from kitui.tui.widgets.line_table import LineTable
from kitui.tui.widgets.pane import Pane
from kitui.tui.widgets.run_table import RunTable
from tests.kitui.tui.test_screens import fixed_speed


class Hand:
    """A user at the app."""

    def __init__(self, pilot: Pilot[None], workspace: Workspace) -> None:
        assert isinstance(pilot.app, KituiApp)
        self.pilot, self.app, self.workspace = pilot, pilot.app, workspace

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)

    async def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        for _ in range(round(20 * seconds)):
            if condition():
                return
            await self.pilot.pause(0.05)
        raise AssertionError("it did not come about")

    @property
    def screen(self) -> Any:
        return self.app.screen

    @property
    def table(self) -> RunTable:
        found = self.screen.query_one(RunTable)
        assert isinstance(found, RunTable)
        return found

    @property
    def sweeps(self) -> LineTable:
        found = self.screen.query_one("#sweeps", LineTable)
        assert isinstance(found, LineTable)
        return found

    def words(self, name: str) -> str:
        """What a Static shows, as text."""
        console = Console(width=200, file=io.StringIO())
        console.print(self.screen.query_one(name, Static).content)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    def plot(self, name: str = "#retention-plot") -> CurvePlot:
        found = self.screen.query_one(name, CurvePlot)
        assert isinstance(found, CurvePlot)
        return found

    async def commanded(self) -> Command:
        """The command that reached the queue, answered as a supervisor would."""
        await self.until(lambda: pending_commands(self.workspace))
        path, command = pending_commands(self.workspace)[0]
        path.unlink()
        answer = (
            Launched(sweep="smoke", cells=12, done=0, orphaned=0) if isinstance(command, Launch) else Obeyed(runs=1)
        )
        write_atomically(path.with_suffix(".reply"), encoded(answer))
        return command


Case = Callable[[Hand], Awaitable[None]]
CASES: dict[str, tuple[str, Case]] = {}


def case(*ids: str, sweep: str = "smoke") -> Callable[[Case], Case]:
    def keep(check: Case) -> Case:
        for name in ids:
            CASES[name] = (sweep, check)
        return check

    return keep


@case("everywhere.sweeps", "everywhere.designer", "everywhere.monitor", "everywhere.law", "everywhere.hosts")
async def modes(hand: Hand) -> None:
    for key, mode in (
        ("2", "designer"),
        ("escape", "designer"),
        ("4", "law"),
        ("5", "hosts"),
        ("1", "sweeps"),
        ("3", "monitor"),
    ):
        await hand.press(key)
        await hand.until(lambda mode=mode: hand.app.current_mode == mode)


@case("everywhere.help", "help.words", "help.close")
async def help_screen(hand: Hand) -> None:
    await hand.press("question_mark")
    assert isinstance(hand.screen, Help)
    assert "Show only some runs" in hand.words("#help-part")
    await hand.press("w")
    assert "one writing of one fact" in hand.words("#help-part")
    await hand.press("tab")
    assert "Show only some runs" in hand.words("#help-part")
    await hand.press("escape")
    assert isinstance(hand.screen, MonitorScreen)


@case("ask.take", "ask.leave")
async def ask(hand: Hand) -> None:
    (Path.cwd() / "other.toml").write_text('name = "other"\n')
    await hand.press("2")
    await hand.until(lambda: hand.screen.focused and hand.screen.focused.value)
    before = hand.screen.draft.name
    for key, name in (("escape", before), ("enter", "other")):
        await hand.press("ctrl+o")
        assert isinstance(hand.screen, Ask)
        hand.screen.query_one(Input).value = "other.toml"
        await hand.press(key)
        await hand.until(lambda name=name: isinstance(hand.screen, DesignerScreen) and hand.screen.draft.name == name)


@case("choose.mark", "choose.take", "choose.leave")
async def choose_sizes(hand: Hand) -> None:
    await hand.press("2")
    await hand.until(lambda: hand.screen.focused and hand.screen.focused.value)
    await hand.press("down")
    for key, taken in (("escape", False), ("enter", True)):
        before = hand.screen.draft.text_of("grid.model_size")
        await hand.press("ctrl+t")
        await hand.until(lambda: isinstance(hand.screen, Choose) and hand.screen.query_one(LineTable).rows)
        await hand.press("space", key)
        assert (hand.screen.draft.text_of("grid.model_size") != before) is taken


@case("page.close", sweep="simulated")
async def page(hand: Hand) -> None:
    for key in ("escape", "q", "enter"):
        await hand.press("1")
        await hand.until(lambda: hand.app.current_mode == "sweeps" and len(hand.sweeps.rows) > 1)
        await hand.press("home", *(["space", "down", "space"] if key == "escape" else []), "equals_sign")
        await hand.until(lambda: isinstance(hand.screen, Page))
        await hand.press(key)
        await hand.until(lambda: hand.app.current_mode == "sweeps" and not isinstance(hand.screen, Page))


@case("everywhere.palette")
async def palette(hand: Hand) -> None:
    await hand.press("ctrl+p", *"freeze", "enter")
    await hand.until(lambda: hand.app.frozen)


@case("everywhere.theme")
async def theme(hand: Hand) -> None:
    before = hand.app.theme
    await hand.press("f2")
    assert hand.app.theme != before
    await hand.press("f2", "f2", "f2", "f2")
    assert hand.app.theme == before


@case("everywhere.freeze")
async def freeze(hand: Hand) -> None:
    await hand.press("f3")
    shown = hand.app.snapshot
    hand.app.want_runs(frozenset([hand.table.rows[3].run_id]))  # something new to show
    await hand.until(lambda: hand.app.held is not None)
    assert hand.app.snapshot is shown
    await hand.press("f3")
    await hand.until(lambda: hand.app.snapshot is not shown)


@case("everywhere.copy")
async def copy(hand: Hand) -> None:
    await hand.press("y")
    assert hand.app.clipboard == hand.table.current.run_id
    await hand.press("1", "y")
    assert hand.app.clipboard == "smoke"


@case("everywhere.copy_table", sweep="simulated")
async def copy_table(hand: Hand) -> None:
    await hand.press("Y")
    heads, under, *rows = hand.app.clipboard.splitlines()
    assert heads.startswith("| size | F |")
    assert set(under) == set("| -:")
    assert len(rows) == len(hand.table.rows)
    await hand.press("4")
    await hand.until(lambda: "F* =" in hand.words("#answer"))
    await hand.press("Y")
    assert "| verdict |" in hand.app.clipboard
    assert "- law (power): F* = " in hand.app.clipboard


@case("everywhere.history")
async def history(hand: Hand) -> None:
    hand.app.notify("something was said")
    await hand.press("f4")
    assert isinstance(hand.screen, Page)
    assert "something was said" in hand.words("Page Static")


@case("everywhere.quit")
async def leave(hand: Hand) -> None:
    await hand.press("q")
    await hand.until(lambda: hand.app.return_code == 0)


@case("sweeps.open")
async def open_sweep(hand: Hand) -> None:
    await hand.press("1")
    hand.sweeps.go_to("simulated")
    await hand.press("enter")
    await hand.until(lambda: hand.app.current_mode == "monitor" and len(hand.table.rows) == 120)


@case("sweeps.new")
async def new_sweep(hand: Hand) -> None:
    await hand.press("1", "n")
    await hand.until(lambda: isinstance(hand.screen, DesignerScreen) and hand.screen.draft is not None)
    assert "sweep" in hand.screen.draft.name


@case("sweeps.edit")
async def edit_sweep(hand: Hand) -> None:
    await hand.press("1", "e")
    await hand.until(lambda: isinstance(hand.screen, DesignerScreen) and hand.screen.draft is not None)
    await hand.until(lambda: hand.screen.draft.name == "smoke")
    assert hand.screen.query_one("#grid-seed", Input).value == "0, 1"


@case("sweeps.search")
@case("sweeps.sort")
@case("sweeps.unmark")
async def search_and_sort(hand: Hand) -> None:
    await hand.press("1")
    assert [row.name for row in hand.sweeps.rows] == ["simulated", "smoke"]
    await hand.press("slash", *"MULA")
    await hand.until(lambda: [row.name for row in hand.sweeps.rows] == ["simulated"])
    await hand.press("enter", "space", "escape", "escape")
    assert len(hand.sweeps.rows) == 2
    assert hand.sweeps.has_focus
    await hand.press("o", "o")
    assert hand.sweeps.sorted_by == ("done", False)
    assert [row.name for row in hand.sweeps.rows] == ["smoke", "simulated"]


@case("everywhere.suspend")
async def suspend(hand: Hand) -> None:
    """For real in test_terminal.py: here there is no shell to go back to."""
    assert hand.app.active_bindings["ctrl+z"].binding.action == "suspend_process"


@case("sweeps.mark", "sweeps.compare")
async def compare(hand: Hand) -> None:
    await hand.press("1", "home", "equals_sign")
    assert not isinstance(hand.screen, Page)
    await hand.press("space", "space", "equals_sign")
    await hand.until(lambda: isinstance(hand.screen, Page))


@case("sweeps.cancel")
@case("sweeps.pause")
@case("sweeps.delete")
async def ask_of_a_sweep(hand: Hand) -> None:
    await hand.press("1")
    await hand.until(lambda: hand.sweeps.rows)
    hand.sweeps.go_to("smoke")
    for key, command in (("c", Cancel), ("p", Pause), ("D", Delete)):
        await hand.press(key)
        assert isinstance(hand.screen, Confirm)
        await hand.press("n")
        assert pending_commands(hand.workspace) == []
        await hand.press(key, "y")
        assert await hand.commanded() == command(names=("smoke",))


@case("sweeps.retry")
@case("sweeps.resume")
@case("sweeps.archive")
async def tell_a_sweep(hand: Hand) -> None:
    await hand.press("1")
    await hand.until(lambda: hand.sweeps.rows)
    hand.sweeps.go_to("smoke")
    for key, command in (("r", Retry), ("u", Resume), ("a", Archive)):
        await hand.press(key)
        assert await hand.commanded() == command(names=("smoke",))


@case("sweeps.archived")
async def archived(hand: Hand) -> None:
    await hand.press("1")
    await hand.until(lambda: hand.sweeps.rows)
    hand.sweeps.go_to("simulated")
    await hand.press("a")
    hand.workspace.sweep("simulated").archived.touch()  # what the supervisor does
    try:
        assert await hand.commanded() == Archive(names=("simulated",))
        await hand.until(lambda: len(hand.sweeps.rows) == 1)
        await hand.press("A")
        assert len(hand.sweeps.rows) == 2
    finally:
        hand.workspace.sweep("simulated").archived.unlink()


@case("designer.save")
async def save(hand: Hand) -> None:
    await hand.press("2", "ctrl+s")
    assert isinstance(hand.screen, Ask)
    assert "with facts.jsonl and templates.toml beside it" in hand.words("Ask Static")
    await hand.press("enter")
    assert isinstance(hand.screen, DesignerScreen)
    assert hand.screen.draft is not None
    assert hand.screen.draft.path.read_text().startswith("# A sweep")
    assert (hand.screen.draft.path.parent / "facts.jsonl").exists()


@case("designer.open")
async def load(hand: Hand) -> None:
    Path("other.toml").write_text('name = "other"\n')
    await hand.press("2", "ctrl+o")
    hand.screen.query_one(Input).value = "other.toml"
    await hand.press("enter")
    assert isinstance(hand.screen, DesignerScreen)
    assert hand.screen.draft is not None
    assert hand.screen.draft.name == "other"


@case("designer.preview")
async def preview(hand: Hand) -> None:
    await hand.press("2", "ctrl+r")
    await hand.until(lambda: isinstance(hand.screen, Page))


@case("designer.leave_field", "designer.next", "designer.previous")
async def fields(hand: Hand) -> None:
    await hand.press("2")
    first = hand.screen.focused
    await hand.press("down", "enter")
    assert hand.screen.focused.id == "grid-infusion_frequency"
    await hand.press("up", "up")
    assert hand.screen.focused is first
    await hand.press("escape", "1")
    await hand.until(lambda: hand.app.current_mode == "sweeps")


@case("designer.clear")
async def clear_field(hand: Hand) -> None:
    await hand.press("2")
    await hand.until(lambda: hand.screen.focused.value)
    await hand.press("down", "ctrl+u", *"nano-3", "right")  # → takes the suggestion
    await hand.until(lambda: hand.screen.draft.text_of("grid.model_size") == "nano-3k")


@case("plot.leave")
async def leave_plot(hand: Hand) -> None:
    await hand.press("space", "tab", "enter")
    assert hand.plot().figure.cursor_x is not None
    await hand.press("escape")
    assert hand.plot().figure.cursor_x is None
    await hand.press("escape")
    assert hand.table.has_focus  # not the other plot, and no field
    assert hand.table.marked  # what was marked stays


@case("log.left", "log.right")
async def sideways(hand: Hand) -> None:
    await hand.press("l")
    view = hand.screen.query_one(LogView)
    await hand.press("right")
    assert view.left == view.size.width // 2
    await hand.press("left", "left")
    assert view.left == 0


@case("designer.choose")
async def choose(hand: Hand) -> None:
    await hand.press("2")
    await hand.until(lambda: hand.screen.focused.value)
    await hand.press("down", "ctrl+t")
    await hand.until(lambda: isinstance(hand.screen, Choose) and hand.screen.query_one(LineTable).rows)
    assert hand.screen.query_one(LineTable).current.value == "nano-13k"  # the first that is chosen
    await hand.press("space", "space", "enter")
    assert hand.screen.draft.text_of("grid.model_size") == "nano-19k, nano-28k, nano-49k"
    await hand.press("ctrl+t", "space", "escape")
    assert hand.screen.draft.text_of("grid.model_size") == "nano-19k, nano-28k, nano-49k"


@case("designer.hosts")
async def hosts(hand: Hand) -> None:
    hosts_toml = hand.workspace.root / "hosts.toml"
    hosts_toml.write_text('[gpu1]\nssh = "me@gpu1"\nworkspace = "~/k"\n')
    try:
        await hand.press("2")
        await hand.until(lambda: "GPU-hours" in hand.words("#cost"))
        await hand.press("ctrl+k")
        await hand.until(lambda: isinstance(hand.screen, Choose) and hand.screen.query_one(LineTable).rows)
        await hand.press("down", "space", "enter", "ctrl+l")
        assert isinstance(hand.screen, Confirm)
        assert "on local, gpu1?" in str(hand.screen.query_one(Static).render())
        await hand.press("n")
    finally:  # other tests have pictures of this workspace
        hosts_toml.unlink()


@case("hosts.check")
async def check_a_host(hand: Hand) -> None:
    await hand.press("5")
    await hand.until(lambda: hand.screen.query_one(LineTable).rows)
    await hand.press("c")
    words = hand.screen.query_one("#host-words", Static)
    await hand.until(lambda: "✓ Python" in str(words.render()))
    assert "for other machines and GPUs" in str(words.render())


@case("hosts.drain", "hosts.reopen", "hosts.move_off")
async def tell_a_host(hand: Hand) -> None:
    await hand.press("5")
    await hand.until(lambda: hand.screen.query_one(LineTable).rows)
    await hand.press("d")
    assert await hand.commanded() == Drain(names=("local",))
    await hand.press("o")
    assert await hand.commanded() == Reopen(names=("local",))
    await hand.press("m")
    assert isinstance(hand.screen, Confirm)
    await hand.press("y")
    assert await hand.commanded() == Drain(names=("local",), now=True)


@case("designer.close_group", "group.open")
async def groups(hand: Hand) -> None:
    await hand.press("2")
    await hand.until(lambda: hand.screen.focused and hand.screen.focused.value)
    closed = {group.about.title for group in hand.screen.query(Group) if not group.is_open}
    assert closed == {"Text", "Model", "Training", "Questions", "Running"}
    await hand.press("ctrl+g")
    assert isinstance(hand.screen.focused, GroupTitle)
    assert "sizes nano-13k" in str(hand.screen.focused.render())  # what differs from the defaults
    await hand.press("enter")
    assert hand.screen.focused.id == "name"
    hand.screen.query_one("#facts-num_unseen").focus()
    await hand.press("down", "down", "enter")  # over the title of Text to that of Model
    assert hand.screen.focused.id == "tokenizer-kind"
    box = hand.screen.query_one("#training-batch_size", Input)
    box.value = "-3"
    title = next(t for t in hand.screen.query(GroupTitle) if t.group.about.title == "Training")
    await hand.until(lambda: "! 1" in str(title.render()))
    await hand.press("ctrl+l")  # goes to what is at fault, and opens its group
    assert hand.screen.focused is box
    assert title.group.is_open
    box.value = ""


@case("designer.launch")
async def launch(hand: Hand) -> None:
    await hand.press("2", "down", "down", "down", "down", "end", "2")
    await hand.until(lambda: "GPU-hours" in hand.words("#cost"))
    assert hand.app.unsaved is not None
    await hand.press("ctrl+l")
    assert isinstance(hand.screen, Confirm)
    await hand.press("y")
    command = await hand.commanded()
    assert isinstance(command, Launch)
    assert command.bundle.read_plan().sweep == "sweep"
    assert hand.app.unsaved is None
    await hand.until(lambda: hand.app.current_mode == "monitor")


@case("monitor.filter", "filter.leave")
async def filter_runs(hand: Hand) -> None:
    await hand.press("slash", *"seed", "equals_sign", "1")
    await hand.until(lambda: len(hand.table.rows) == 6)
    await hand.press("x")  # 1x is no number: the table stays, and the line says why
    assert hand.screen.query_one(FilterBar).has_class("-open")
    await hand.press("backspace", "enter", "down")
    assert hand.screen.focused is hand.table
    await hand.press("escape")
    await hand.until(lambda: len(hand.table.rows) == 12)


@case("monitor.group")
async def group(hand: Hand) -> None:
    await hand.press("g")
    assert len(hand.table.rows) == 6
    assert {row.n + row.missing for row in hand.table.rows} == {2}
    await hand.press("g")
    assert len(hand.table.rows) == 12


@case("monitor.sort", "monitor.sort_back", "monitor.invert")
async def sort(hand: Hand) -> None:
    at = hand.table.current.run_id
    seen = []
    for _ in range(len(hand.table.sortable)):
        await hand.press("o")
        column, descending = hand.table.sorted_by or ("", False)
        values = [RUN_VALUES[column](row) for row in hand.table.rows]
        there = [v for v in values if v is not None]
        assert there == sorted(there, reverse=descending)
        assert values == [*there, *[None] * (len(values) - len(there))]
        seen.append(column)
    assert seen == hand.table.sortable
    assert hand.table.current.run_id == at  # the cursor stays with its run
    await hand.press("O")
    assert hand.table.sorted_by is not None
    assert hand.table.sorted_by[0] == seen[-2]
    before = hand.table.sorted_by
    await hand.press("i")
    assert hand.table.sorted_by == (before[0], not before[1])


@case("monitor.mark", "monitor.mark_all", "monitor.unmark")
async def mark(hand: Hand) -> None:
    first = hand.table.current.run_id
    await hand.press("space", "space")
    assert len(hand.table.chosen) == 2
    assert first in hand.table.chosen
    await hand.press("a")
    assert len(hand.table.chosen) == 12
    await hand.press("escape")
    assert hand.table.chosen == [hand.table.current.run_id]


@case("monitor.pin")
async def pin(hand: Hand) -> None:
    await hand.press("end", "t")
    pinned = hand.table.pinned
    assert hand.table.rows[0].run_id in pinned
    await hand.press("t")
    assert not hand.table.pinned


@case("monitor.set")
async def fact_sets(hand: Hand) -> None:
    titles = []
    for _ in range(6):
        titles.append(hand.plot("#learning-plot").figure.content.title.split(":")[0])
        await hand.press("s")
    assert titles == [
        *(f"Retention, {s}" for s in ("overall", "prior", "infused", "verbatim", "unseen")),
        "Loss",
    ]


@case("monitor.view")
async def view(hand: Hand) -> None:
    await hand.pilot.resize_terminal(80, 24)
    await hand.pilot.pause(0.3)
    assert (hand.plot().display, hand.plot("#learning-plot").display) == (True, False)
    await hand.press("v")
    assert (hand.plot().display, hand.plot("#learning-plot").display) == (False, True)


@case("monitor.pane")
async def panes(hand: Hand) -> None:
    pane = hand.screen.query_one(Pane)
    await hand.press("b")
    assert pane.kind == "slots"
    await hand.press("b")
    assert pane.kind == "hosts"
    assert "local: 2 of" in str(pane.render())
    await hand.press("b")
    assert pane.kind == "alerts"
    assert "CUDA out of memory" in str(pane.render())
    await hand.press("b")
    assert pane.kind == "events"


@case("monitor.run")
async def open_run(hand: Hand) -> None:
    run_id = hand.table.current.run_id
    await hand.press("enter")
    await hand.until(lambda: isinstance(hand.screen, Page))
    assert run_id in str(hand.screen.query_one(VerticalScroll).border_title)
    assert "sweeps     smoke" in hand.words("Page Static")
    await hand.press("escape", "space", "space", "enter")
    await hand.until(lambda: isinstance(hand.screen, Page))
    assert "2 runs" in str(hand.screen.query_one(VerticalScroll).border_title)


@case("monitor.log")
async def open_log(hand: Hand) -> None:
    await hand.press("l")
    assert isinstance(hand.screen, LogScreen)


@case("monitor.cancel", "monitor.pause", "confirm.yes", "confirm.no", "confirm.enter")
async def ask_of_runs(hand: Hand) -> None:
    await hand.press("c")
    assert isinstance(hand.screen, MonitorScreen)  # it is done: there is nothing to ask
    await hand.press("down", "down", "down", "down")
    assert hand.table.current.status == "running"
    run_id = hand.table.current.run_id
    for key, command in (("c", Cancel), ("p", Pause)):
        await hand.press(key)
        assert isinstance(hand.screen, Confirm)
        await hand.press("n", key, "escape")
        assert isinstance(hand.screen, MonitorScreen)
        assert pending_commands(hand.workspace) == []
        await hand.press(key, "y")
        assert await hand.commanded() == command(names=(run_id,))


@case("monitor.retry", "monitor.resume")
async def tell_runs(hand: Hand) -> None:
    await hand.press("space", "space")
    for key, command in (("r", Retry), ("u", Resume)):
        await hand.press(key)
        answer = await hand.commanded()
        assert isinstance(answer, command)
        assert len(answer.names) == 2


@case("law.set", sweep="simulated")
async def law_set(hand: Hand) -> None:
    await hand.press("4", "s")
    await hand.until(lambda: "prior" in hand.plot("#collapse-plot").figure.content.title)
    await hand.until(lambda: hand.plot("#law-plot").figure.content.empty and "F*" in hand.words("#words"))


@case("law.condition", sweep="simulated")
async def law_condition(hand: Hand) -> None:
    await hand.press("4", "n")
    assert isinstance(hand.screen, LawScreen)
    assert "D=300k" in hand.plot("#collapse-plot").figure.content.title
    await hand.press("n")
    assert "D=300k" not in hand.plot("#collapse-plot").figure.content.title


@case("law.target", "law.leave_field", sweep="simulated")
async def target(hand: Hand) -> None:
    await hand.press("4", "t", *"100k", "enter")
    await hand.until(lambda: "N = 100k" in hand.words("#answer"), 120)
    assert "at N = 100k, D = " in hand.words("#words")
    law, *_, aim = hand.plot("#law-plot").figure.content.series
    assert (aim.hollow, tuple(aim.x)) == (True, (100_000.0,))  # the target is in the plot
    sizes = [s.x[0] for s in hand.plot("#law-plot").figure.content.series if s.named]
    assert law.band is not None
    assert (min(law.x), max(law.x)) == (min(sizes), max(sizes))  # the band covers the data and the target
    await hand.press("escape", "1")
    await hand.until(lambda: hand.app.current_mode == "sweeps")


@case("law.arm", sweep="simulated")
async def arm(hand: Hand) -> None:
    await hand.press("4", "a")
    assert "○ smoke" in hand.plot("#collapse-plot").figure.content.title
    await hand.press("a")
    assert "○" not in hand.plot("#collapse-plot").figure.content.title


@case("law.over", sweep="simulated")
async def law_over(hand: Hand) -> None:
    await hand.press("4", "e")
    content = hand.plot("#collapse-plot").figure.content
    assert content.x_name == "prior exposures"
    assert not content.marks  # F* has no place there
    assert "not known" in content.empty  # of simulated results
    await hand.press("e", "e")
    assert hand.plot("#collapse-plot").figure.content.x_name.startswith("F,")


@case("law.map", sweep="simulated")
@case(*[f"map.{n}" for n in ("up", "down", "left", "right", "open", "leave")], sweep="simulated")
async def study_map(hand: Hand) -> None:
    await hand.press("4", "m")
    view = hand.screen.query_one(MapView)
    assert view.has_focus
    await hand.until(lambda: view.map.rows)
    assert view.map.rows[0].target is not None
    assert not hand.plot("#collapse-plot").display
    await hand.press("down", "right", "right", "left", "down", "up")
    assert (view.row, view.column) == (1, 1)
    row, frequency = view.map.rows[1], view.map.frequencies[1]
    assert f"{row.label}, F = {frequency:g}: R ." in str(view.render())
    await hand.press("enter")
    await hand.until(lambda: isinstance(hand.screen, MonitorScreen))
    await hand.until(lambda: hand.table.rows and {r.frequency for r in hand.table.rows} == {frequency})
    assert {r.params for r in hand.table.rows} == {row.num_params}
    await hand.press("4", "escape")
    assert hand.screen.focused.id == "law-words"
    await hand.press("m")
    assert hand.plot("#collapse-plot").display
    assert not view.display


@case("plot.next_curve", "plot.curve_before", "plot.on_or_off", "plot.alone", sweep="simulated")
async def legend(hand: Hand) -> None:
    await hand.press("4")
    await hand.until(lambda: hand.plot("#collapse-plot").figure.entries)
    plot = hand.plot("#collapse-plot")
    plot.focus()
    first, second, *_ = plot.figure.entries
    await hand.press("n", "n", "N", "space")
    assert plot.figure.hidden == {first}
    assert first not in {one.entry for one in plot.figure.series}
    await hand.press("space", "n", "i")
    assert {one.entry for one in plot.figure.series} == {second}
    assert {mark.group for mark in plot.figure.marks} <= {second}
    await hand.press("i")
    assert not plot.figure.hidden


@case("everywhere.enlarge")
async def enlarge(hand: Hand) -> None:
    before = hand.table.size
    await hand.press("z")
    await hand.until(lambda: hand.table.size.width > before.width)
    await hand.press("z")
    await hand.until(lambda: hand.table.size == before)


@case("everywhere.figure", sweep="simulated")
async def figure(hand: Hand) -> None:
    await hand.press("4", "E")
    assert isinstance(hand.screen, Ask)
    hand.screen.query_one(Input).value = "curves.svg"
    await hand.press("enter")
    await hand.until(lambda: Path("curves.svg").exists() and "</svg>" in Path("curves.svg").read_text(), 120)
    await hand.press("5", "E")
    assert not isinstance(hand.screen, Ask)  # nothing to draw there


@case("law.view", sweep="simulated")
async def law_view(hand: Hand) -> None:
    await hand.pilot.resize_terminal(80, 24)
    await hand.press("4", "v")
    assert hand.plot("#law-plot").display
    assert not hand.plot("#collapse-plot").display


@case("table.up", "table.down", "table.page_up", "table.page_down", "table.first", "table.last", sweep="simulated")
async def move(hand: Hand) -> None:
    table = hand.table
    for keys, place in (
        (("down", "j", "up", "k", "down"), 1), (("end",), 119), (("home",), 0), (("G",), 119),
        (("pageup",), 119 - table.page), (("pagedown",), 119),
    ):  # fmt: skip
        await hand.press(*keys)
        assert table.cursor == place, keys


@case(*[f"plot.{n}" for n in ("zoom_in", "zoom_out", "left", "right", "up", "down", "reset")], sweep="simulated")
async def zoom(hand: Hand) -> None:
    plot = hand.plot()
    plot.focus()
    whole = plot.figure.view
    await hand.press("plus")
    assert plot.figure.view.x_high - plot.figure.view.x_low == pytest.approx((whole.x_high - whole.x_low) / 1.5)
    await hand.press("minus")
    assert plot.figure.view.x_low == pytest.approx(whole.x_low, abs=0.01)
    for key, other in (("left", "right"), ("up", "down")):
        before = plot.figure.view
        await hand.press(key)
        assert plot.figure.view != before
        await hand.press(other)
        assert plot.figure.view == pytest.approx(before)
    await hand.press("0")
    assert plot.figure.view == whole


@case("plot.values", sweep="simulated")
async def values(hand: Hand) -> None:
    plot = hand.plot()
    plot.focus()
    await hand.press("enter")
    assert "at " in state_words(plot.figure)
    at = plot.figure.cursor_x
    await hand.press("right")
    assert plot.figure.cursor_x is not None
    assert at is not None
    assert plot.figure.cursor_x > at
    await hand.press("enter")
    assert state_words(plot.figure) == ""


@case("plot.log_x", "plot.log_y", "plot.smooth", sweep="simulated")
async def axes(hand: Hand) -> None:
    plot = hand.plot()
    plot.focus()
    before = plot.figure.view
    await hand.press("x")
    assert plot.figure.view != before
    await hand.press("x", "Y")
    assert plot.figure.log_y
    await hand.press("Y", "m")
    assert "smoothed" in state_words(plot.figure)


@case(*[a.id for a in ACTIONS if a.where == "log"])
async def log(hand: Hand) -> None:
    run_id = hand.table.current.run_id
    path = hand.workspace.run(run_id).log
    path.write_text("".join(f"line {i}{' needle' if i % 100 == 7 else ''}\n" for i in range(1000)))
    try:
        await hand.press("l")
        view = hand.screen.query_one(LogView)
        await hand.until(lambda: "retention: overall" in "".join(lines(view)[-3:]))  # what `kitui logs` prints
        await hand.press("home")
        assert lines(view)[0] == "line 0"
        await hand.press("tab")
        assert lines(view)[-1] == "line 999"
        await hand.press("home")
        assert lines(view)[0] == "line 0"
        await hand.press("down", "down", "up")
        assert lines(view)[0] == "line 1"
        await hand.press("pagedown", "pageup")
        assert lines(view)[0] == "line 1"
        for keys, found in ((("slash", *"needle", "enter"), 7), (("n",), 107), (("n",), 207), (("N",), 107)):
            await hand.press(*keys)
            await hand.until(lambda n=found: (n, view.found) and view.text_at(view.found) == f"line {n} needle")
        await hand.press("f")
        assert lines(view)[-1] == "line 999"
        with path.open("a") as handle:
            handle.write("the newest\n")
        await hand.until(lambda: lines(view)[-1] == "the newest")
        await hand.press("home", "end")
        assert lines(view)[-1] == "the newest"
        await hand.press("tab")
        assert '"kind"' in lines(view)[0]
        await hand.press("tab")
        await hand.until(lambda: lines(view)[-1] == "the newest")  # it came after all that was there
        await hand.press("escape")
        assert isinstance(hand.screen, MonitorScreen)
    finally:
        path.unlink()


def lines(view: LogView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


@pytest.fixture
def queue(screens: Workspace) -> Workspace:
    for path in screens.queue.glob("*"):
        path.unlink()
    return screens


CHECKS = {check.__name__: (sweep, check) for sweep, check in CASES.values()}


def test_every_action_has_a_case() -> None:
    assert {a.id for a in ACTIONS} == set(CASES)


@pytest.mark.parametrize("name", CHECKS)
async def test_action(queue: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "kitui.tui.designer.planner.measure", fixed_speed
    )  # really measured in the tests of `kitui plan`
    sweep, check = CHECKS[name]
    app = KituiApp(queue, sweep)
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, queue)
        await hand.until(lambda: app.snapshot is not None and app.snapshot.rows and hand.table.rows)
        await pilot.pause(0.1)
        await check(hand)


async def test_a_read_only_view_commands_nothing(queue: Workspace) -> None:
    app = KituiApp(queue, "smoke", read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, queue)
        await hand.until(lambda: app.snapshot is not None and app.snapshot.rows and hand.table.rows)
        await hand.press("c", "y", "r", "p", "y")
        await pilot.pause(0.5)
        assert pending_commands(queue) == []
        await hand.press("2")
        await hand.until(lambda: isinstance(hand.screen, DesignerScreen))
        await hand.press("ctrl+s", "ctrl+l")
        assert isinstance(hand.screen, DesignerScreen)  # neither asks for a name nor launches
    assert not queue.probe.exists()


async def test_a_click_beside_the_columns_and_a_wild_zoom_are_no_crash(screens: Workspace) -> None:
    app = KituiApp(screens, "simulated")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, screens)
        await hand.until(lambda: app.snapshot is not None and app.snapshot.rows and hand.table.rows)
        for x in (0, 1, 3, 14):
            await pilot.click(RunTable, offset=(x, 0))
        assert hand.table.sorted_by is not None
        plot = hand.plot()
        plot.focus()
        for key in ["minus"] * 40 + ["plus"] * 80 + ["enter"]:
            app.simulate_key(key)
        await hand.until(lambda: plot.figure.cursor_x is not None)  # the last key: all before it are done
        view, whole = plot.figure.view, plot.figure.whole
        assert (view.x_high - view.x_low) / (whole.x_high - whole.x_low) > 1e-5


async def test_another_fact_sets_points_never_stand_under_a_sweeps_name(screens: Workspace) -> None:
    app = KituiApp(screens, "simulated")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, screens)
        await hand.until(lambda: app.snapshot is not None and app.snapshot.rows)
        await hand.press("4", "s")
        screen = hand.screen
        await hand.until(lambda: screen._document is not None)
        app.choose_sweep("smoke")
        await hand.until(lambda: screen._subject[0] == "smoke")
        assert screen._document is None or screen._document.sweep == "smoke"


async def test_arrows_go_from_field_to_field_where_not_all_fit(screens: Workspace) -> None:
    app = KituiApp(screens, "simulated")
    async with app.run_test(size=(80, 24)) as pilot:
        hand = Hand(pilot, screens)
        await hand.press("2")
        await hand.until(lambda: hand.screen.focused and hand.screen.focused.value)
        await hand.press("down", "down", "up")
        assert hand.screen.focused.id == "grid-model_size"
        await hand.press(*["down"] * 20)
        assert hand.screen.query_one("#fields").scroll_offset.y > 0


async def test_in_a_field_the_key_bar_shows_what_works_there_and_leaving_asks_for_changes(screens: Workspace) -> None:
    app = KituiApp(screens, "simulated")
    async with app.run_test(size=(80, 24)) as pilot:
        hand = Hand(pilot, screens)
        await hand.press("2")
        await hand.until(lambda: hand.screen.focused and hand.screen.focused.value)
        bar = hand.screen.query_one(KeyBar)
        assert "esc Leave field" in str(bar.render())
        assert "q Quit" not in str(bar.render())
        await hand.press("x", "escape")
        assert "q Quit" in str(bar.render())
        await hand.press("q")
        assert isinstance(hand.screen, Confirm)
        await hand.press("n")
        assert isinstance(hand.screen, DesignerScreen)
        await hand.press("q", "y")
        await hand.until(lambda: app.return_code == 0)


async def test_a_key_that_closes_comes_twice(screens: Workspace) -> None:
    app = KituiApp(screens, "smoke")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, screens)
        await hand.until(lambda: app.snapshot is not None and app.snapshot.rows and hand.table.rows)
        await hand.press("down", "down", "down", "down")
        for opening in ("question_mark", "c", "l", "ctrl+p"):
            await hand.press(opening)
            over = hand.screen
            assert not isinstance(over, MonitorScreen)
            over.dismiss()
            over.dismiss()
            await hand.until(lambda: isinstance(hand.screen, MonitorScreen))


async def test_an_opened_draft_asks_for_the_changes_to_the_one_before(queue: Workspace, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('name = "other"\n')
    app = KituiApp(queue, "smoke")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, queue)
        await hand.press("2")
        await hand.until(lambda: hand.screen.focused and hand.screen.focused.value)
        await hand.press("x", "ctrl+o")
        hand.screen.query_one(Input).value = str(tmp_path / "other.toml")
        await hand.press("enter")
        await hand.until(lambda: isinstance(hand.screen, Confirm))
        await hand.press("n")
        assert hand.screen.draft.name == "sweepx"


async def test_a_file_is_chosen_from_the_folders(queue: Workspace, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mine.jsonl").write_text('{"subject": "Ada", "relation": "P19", "object": "London"}\n')
    (tmp_path / "own.toml").write_text('name = "own"\n[facts]\npath = "facts.jsonl"\n')
    app = KituiApp(queue, "smoke")
    async with app.run_test(size=(80, 24)) as pilot:
        hand = Hand(pilot, queue)
        await hand.press("2")
        await hand.until(lambda: hand.screen.focused and hand.screen.focused.value)
        await hand.press("ctrl+o")
        hand.screen.query_one(Input).value = str(tmp_path / "own.toml")
        await hand.press("enter")
        await hand.until(lambda: isinstance(hand.screen, DesignerScreen) and hand.screen.draft.name == "own")
        hand.screen.query_one("#facts-path").focus()
        await hand.press("ctrl+t")
        await hand.until(lambda: isinstance(hand.screen, Choose) and hand.screen.query_one(LineTable).rows)
        table = hand.screen.query_one(LineTable)
        while table.current.label != "deep/":
            await hand.press("down")
        await hand.press("enter")
        await hand.until(lambda: len(table.rows) == 2)
        await hand.press("enter")  # back up: the cursor is on the folder it has come from
        await hand.until(lambda: table.current.label == "deep/")
        await hand.press("enter")
        await hand.until(lambda: len(table.rows) == 2)
        await hand.press("down")
        await hand.until(lambda: "Ada · P19" in str(hand.screen.query_one("#glimpse").render()))
        await hand.press("enter")
        assert hand.screen.draft.text_of("facts.path") == "deep/mine.jsonl"
        hand.screen.query_one("#grid-seed").focus()
        await hand.press("ctrl+t")  # nothing to choose from: said, and nothing opened
        assert isinstance(hand.screen, DesignerScreen)


async def test_another_window_moves_no_cursor(screens: Workspace) -> None:
    app = KituiApp(screens, "smoke")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, screens)
        await hand.press("2")
        await hand.until(lambda: hand.screen.focused and hand.screen.focused.value)
        await hand.press("down", "home", "right")
        field = hand.screen.focused
        app.post_message(AppBlur())
        await hand.until(lambda: not app.app_focus)
        app.post_message(AppFocus())
        await hand.until(lambda: hand.screen.focused is field)
        assert field.cursor_position == 1


async def test_resizing_keeps_cursor_and_marks(screens: Workspace) -> None:
    app = KituiApp(screens, "smoke")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, screens)
        await hand.until(lambda: app.snapshot is not None and app.snapshot.rows and hand.table.rows)
        await hand.press("down", "down", "space")
        at, chosen = hand.table.cursor, hand.table.chosen
        for size in ((80, 24), (40, 10), (20, 5), (200, 60), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.2)
        assert (hand.table.cursor, hand.table.chosen) == (at, chosen)


async def test_keys_are_remapped_by_the_configuration(screens: Workspace, home: Path) -> None:
    (home / "config" / "kitui").mkdir(parents=True)
    (home / "config" / "kitui" / "config.toml").write_text('[keys]\n"monitor.group" = "z"\n')
    app = KituiApp(screens, "smoke")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, screens)
        await hand.until(lambda: app.snapshot is not None and app.snapshot.rows and hand.table.rows)
        await hand.press("g")
        assert len(hand.table.rows) == 12
        await hand.press("z")
        assert len(hand.table.rows) == 6


def test_keys_of_one_screen_do_not_clash() -> None:
    with_a_table = {"sweeps", "monitor", "hosts"}
    alone = {"log", "filter", "choose", "confirm", "ask", "page", "help"}  # nothing of the app's is bound under these
    for where in set(PLACES) - {EVERYWHERE, "table", "plot"}:
        places = {where} | (set() if where in alone else {EVERYWHERE}) | ({"table"} if where in with_a_table else set())
        keys = [key for a in ACTIONS if a.where in places for key in a.key.split(",")]
        assert len(keys) == len(set(keys)), where


@pytest.mark.parametrize("columns", [120, 200])
async def test_with_room_both_plots_are_there(screens: Workspace, columns: int) -> None:
    app = KituiApp(screens, "smoke")
    async with app.run_test(size=(columns, 50)) as pilot:
        hand = Hand(pilot, screens)
        await hand.until(lambda: app.snapshot is not None and app.snapshot.rows and hand.table.rows)
        for name in ("#retention-plot", "#learning-plot"):
            await hand.until(lambda name=name: hand.plot(name).size.width > columns // 3)


@pytest.mark.parametrize("keys", [["tab"], ["tab", "tab"], ["shift+tab"]])
async def test_escape_in_a_plot_of_the_law_leads_to_the_words(screens: Workspace, keys: list[str]) -> None:
    app = KituiApp(screens, "simulated")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, screens)
        await hand.press("4")
        await hand.until(lambda: isinstance(hand.screen, LawScreen) and hand.screen.focused)
        for plot in ("#collapse-plot", "#law-plot"):
            hand.plot(plot).focus()
            await hand.press("escape")
            assert hand.screen.focused.id == "law-words"


async def test_results_from_elsewhere_are_analysed_by_the_app(tmp_path: Path) -> None:
    """Nobody else does: they have no supervisor."""
    workspace = Workspace(tmp_path / "workspace")
    simulate_sweep(
        workspace, "elsewhere", law_text="30 * (N / 30k) ^ 0.5", sizes="7k,15k,30k,60k",
        frequencies="0,1,2,4,8,16,32,64,96,128", num_seeds=2, num_questions=320, seed=0, replace=False,
    )  # fmt: skip
    app = KituiApp(workspace, "elsewhere")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, workspace)
        await hand.press("4")
        await hand.until(lambda: isinstance(hand.screen, LawScreen) and app.snapshot and app.snapshot.plan)
        await hand.until(lambda: "orking it out" in hand.words("#answer") or "F* = " in hand.words("#answer"))
        await hand.until(lambda: "F* = " in hand.words("#answer"), 120)  # by a process beside it
        assert hand.plot("#law-plot").figure.content.series


async def test_a_new_theme_is_drawn_everywhere_and_remembered(screens: Workspace) -> None:
    app = KituiApp(screens, "simulated")
    async with app.run_test(size=(120, 40)) as pilot:
        hand = Hand(pilot, screens)
        await hand.until(lambda: app.snapshot is not None and hand.table.rows and hand.plot().figure.content.series)

        def axis_colour() -> object:
            """As the screen has it: of the first cell of the axis below the plot."""
            plot = hand.plot()
            styles = [segment.style for segment in plot.render_line(plot.size.height - 2) if segment.text.strip()]
            return styles[0] and styles[0].color

        before = axis_colour()
        await hand.press("f2")
        assert app.theme == "textual-light"
        await hand.until(lambda: axis_colour() != before)
        assert axis_colour() == hand.plot().get_component_rich_style("plot--axis").color
    assert KituiApp(screens).theme == "textual-light"


async def test_the_line_of_keys_shows_what_can_be_done_with_what_is_chosen(screens: Workspace) -> None:
    app = KituiApp(screens, "smoke")
    async with app.run_test(size=(160, 40)) as pilot:
        hand = Hand(pilot, screens)
        await hand.until(lambda: app.snapshot is not None and app.snapshot.rows and hand.table.rows)

        def keys() -> str:
            return str(hand.screen.query_one(KeyBar).render())

        verbs = {"failed": ["Retry"], "running": ["Cancel", "Pause"], "done": []}
        for state, offered in verbs.items():
            row = next(row for row in hand.table.rows if row.status == state)
            hand.table.go_to((row.run_id,))
            await hand.until(lambda offered=offered: all(word in keys() for word in offered))
            await hand.until(
                lambda offered=offered: (
                    not any(word in keys() for word in {"Cancel", "Pause", "Resume", "Retry"} - set(offered))
                )
            )
        await hand.press("1")
        hand.sweeps.go_to("simulated")
        await hand.until(lambda: "Delete" in keys() and "Archive" in keys())
        assert not any(word in keys() for word in ("Cancel", "Pause", "Resume", "Retry"))
        hand.sweeps.go_to("smoke")
        await hand.until(lambda: "Cancel" in keys() and "Delete" not in keys())


async def test_an_app_that_has_closed_mounts_no_more_modes(screens: Workspace) -> None:
    app = KituiApp(screens)
    async with app.run_test(size=(80, 24)):
        pass
    await app.mount_mode("law")
    assert app.mounted("law") is None


async def test_what_never_comes_to_be_mounted_holds_up_nothing(screens: Workspace) -> None:
    """A notification may be on its way out as soon as it comes; the app had waited for it without end, and spun."""

    class Never(Static):
        @property
        def is_mounted(self) -> bool:
            return False

    app = KituiApp(screens)
    async with app.run_test(size=(80, 24)) as pilot:
        hand = Hand(pilot, screens)
        await hand.until(lambda: app.snapshot is not None and getattr(app.screen, "_is_whole", True))
        await app.screen.mount(Never())
        num_drawn = 0

        def counted() -> None:
            nonlocal num_drawn
            num_drawn += 1

        app.screen.show_top = counted  # type: ignore[attr-defined]
        app.screen.on_screen_resume()  # type: ignore[attr-defined]
        await pilot.pause(0.2)
        assert num_drawn >= 1
