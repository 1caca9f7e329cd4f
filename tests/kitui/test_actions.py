"""Every action of the registry, pressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from engine.control.commands import pending_commands
from engine.records.workspace import Workspace, write_json
from kitui.actions import ACTIONS, EVERYWHERE
from kitui.app import KituiApp
from kitui.screens.confirm import Confirm
from kitui.screens.help import Help
from kitui.screens.monitor import MonitorScreen
from kitui.widgets.curve_plot import CurvePlot
from kitui.widgets.run_table import RunTable


async def ready(pilot: Pilot[None]) -> KituiApp:
    app = pilot.app
    assert isinstance(app, KituiApp)
    for _ in range(200):
        await pilot.pause(0.05)
        if app.snapshot is not None and app.snapshot.rows:
            break
    await pilot.pause(0.2)
    return app


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause(0.1)


def table_of(app: KituiApp) -> RunTable:
    return app.screen.query_one(RunTable)


async def test_modes_help_theme_and_quit(screens: Workspace) -> None:
    app = KituiApp(screens)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        for key, mode in (("2", "monitor"), ("3", "law"), ("1", "sweeps")):
            await press(pilot, key)
            assert app.current_mode == mode
        theme = app.theme
        await press(pilot, "f2")
        assert app.theme != theme
        await press(pilot, "f2", "question_mark")
        assert app.theme == theme
        assert isinstance(app.screen, Help)
        await press(pilot, "question_mark")
        assert not isinstance(app.screen, Help)
        await press(pilot, "q")
    assert app.return_code == 0


async def test_opening_a_sweep_shows_its_runs(screens: Workspace) -> None:
    app = KituiApp(screens)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        sweeps = app.screen.query_one("#sweeps", DataTable)
        assert sweeps.row_count == 2
        await press(pilot, "down", "enter")
        for _ in range(200):
            await pilot.pause(0.05)
            if app.current_mode == "monitor" and table_of(app).row_count == 120:
                break
        assert app.current_mode == "monitor"
        assert app.sweep == "simulated"
        assert table_of(app).row_count == 120


async def test_marks_sets_plots_and_order(screens: Workspace) -> None:
    app = KituiApp(screens, "smoke")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        table = table_of(app)
        first = table.current
        await press(pilot, "space", "down", "space")
        assert len(table.chosen) == 2
        assert first in table.chosen
        await press(pilot, "escape")
        assert table.chosen == [table.current]
        titles = []
        for _ in range(5):
            titles.append(str(app.screen.query_one("#retention-plot .curve-title").render()))
            await press(pilot, "s")
        assert [t.split(",")[1].split()[0] for t in titles] == ["overall", "prior", "infused", "verbatim", "unseen"]
        assert app.screen.query_one("#retention-plot", CurvePlot).display
        await press(pilot, "p")
        assert app.screen.has_class("-learning")
        at = table.current
        await press(pilot, "o")
        assert table.current == at  # the cursor stays with its run
        ordered = [table.get_row_at(i)[6] for i in range(4)]
        assert ordered == sorted(ordered, reverse=True)


@pytest.fixture
def queue(screens: Workspace) -> Workspace:
    for path in screens.queue.glob("*"):
        path.unlink()
    return screens


async def answered(pilot: Pilot[None], workspace: Workspace) -> dict[str, Any]:
    """The command that reached the queue, answered as a supervisor would."""
    for _ in range(100):
        await pilot.pause(0.05)
        commands: list[tuple[Path, dict[str, Any]]] = pending_commands(workspace)
        if commands:
            path, command = commands[0]
            path.unlink()
            write_json(path.with_suffix(".reply"), {"ok": True, "cancelled": 1, "retried": 1})
            return command
    raise AssertionError("no command came")


async def test_cancel_asks_first(queue: Workspace) -> None:
    app = KituiApp(queue, "smoke")
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        run_id = table_of(app).current
        await press(pilot, "c")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "n")
        assert isinstance(app.screen, MonitorScreen)
        assert pending_commands(queue) == []
        await press(pilot, "c", "y")
        assert (await answered(pilot, queue)) == {"command": "cancel", "names": [run_id]}


async def test_cancel_and_retry_of_a_sweep(queue: Workspace) -> None:
    app = KituiApp(queue)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await press(pilot, "c", "y")
        assert (await answered(pilot, queue)) == {"command": "cancel", "names": ["smoke"]}
        await press(pilot, "r")
        assert (await answered(pilot, queue)) == {"command": "retry", "names": ["smoke"]}


async def test_retry_of_marked_runs(queue: Workspace) -> None:
    app = KituiApp(queue, "smoke")
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await press(pilot, "space", "down", "space", "r")
        command = await answered(pilot, queue)
        assert command["command"] == "retry"
        assert len(command["names"]) == 2


async def test_the_law_screen_switches_plots_where_one_fits(screens: Workspace) -> None:
    app = KituiApp(screens, "simulated")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "3")
        await pilot.pause(0.5)
        before = app.screen.query_one("#law-plot").display
        await press(pilot, "p")
        assert app.screen.query_one("#law-plot").display is not before


async def test_resizing_keeps_cursor_and_marks(screens: Workspace) -> None:
    app = KituiApp(screens, "smoke")
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await press(pilot, "down", "down", "space")
        at, chosen = table_of(app).current, table_of(app).chosen
        for size in ((80, 24), (40, 10), (200, 60), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.2)
        assert (table_of(app).current, table_of(app).chosen) == (at, chosen)


def test_keys_of_one_screen_do_not_clash() -> None:
    for where in {a.where for a in ACTIONS} - {EVERYWHERE}:
        keys = [a.key for a in ACTIONS if a.where in (where, EVERYWHERE)]
        assert len(keys) == len(set(keys)), where
