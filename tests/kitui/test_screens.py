"""What the screens look like. After a change that is meant: pytest tests/kitui/test_screens.py --snapshot-update."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from engine.records.workspace import Workspace
from kitui.app import KituiApp
from tests.conftest import wait_until

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs show local time."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()


def shown(*keys: str) -> Callable[[Pilot[None]], object]:
    """Wait for the first snapshot, press keys, and let everything be drawn."""

    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, KituiApp)
        for _ in range(200):
            await pilot.pause(0.05)
            if app.snapshot is not None:
                break
        assert app.snapshot is not None
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.2)
        await pilot.pause(2.0)  # a second reading, with the curves of the run at hand

    return before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("sweep", "keys"),
    [
        ("smoke", ("1",)),
        ("smoke", ("2", "down", "down", "down", "down")),
        ("smoke", ("2", "p", "s", "s")),
        ("simulated", ("2",)),
        ("simulated", ("3",)),
        ("simulated", ("3", "f2")),
        ("simulated", ("question_mark",)),
    ],
    ids=["sweeps", "monitor-live", "monitor-infused", "monitor", "law", "law-light", "help"],
)
def test_screen(
    screens: Workspace, snap_compare: Callable[..., bool], sweep: str, keys: tuple[str, ...], size: str
) -> None:
    assert snap_compare(KituiApp(screens, sweep), terminal_size=SIZES[size], run_before=shown(*keys))


@pytest.mark.parametrize("size", SIZES)
def test_an_empty_workspace(workspace: Workspace, snap_compare: Callable[..., bool], size: str) -> None:
    assert snap_compare(KituiApp(workspace), terminal_size=SIZES[size], run_before=shown())


def test_without_colour(screens: Workspace, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = KituiApp(screens, "simulated")
    wait_until(lambda: app.no_color, 1)
    assert snap_compare(app, terminal_size=(120, 40), run_before=shown("3"))
