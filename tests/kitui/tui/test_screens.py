"""What the screens look like. After a change that is meant: pytest tests/kitui/test_screens.py --snapshot-update."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.color import Color
from textual.pilot import Pilot
from textual.widgets import Input, Static

from engine.records.forecast import Probe, Rate
from engine.records.workspace import Workspace
from kitui.services.settings import THEMES
from kitui.tui.app import KituiApp
from kitui.tui.designer.screen import DesignerScreen
from tests.conftest import wait_until

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}
WIDE = ("sweeps", "monitor-live", "law")
SCREENS = {
    "sweeps": ("smoke", ("1",)),
    "monitor-live": ("smoke", ("3", "down", "down", "down", "down")),
    "monitor-infused": ("smoke", ("3", "v", "s", "s")),
    "monitor-cells": ("simulated", ("3", "g", "o", "o", "o", "o", "t")),
    "monitor-filter": ("simulated", ("3", "slash", *"seed=1 and para")),
    "monitor-cursor": ("simulated", ("3", "tab", "enter", "right")),
    "law": ("simulated", ("4",)),
    "hosts": ("smoke", ("5", "down")),
    "log": ("smoke", ("3", "l")),
    "help": ("simulated", ("4", "question_mark")),
}
# The default suite looks at every screen in the smallest terminal, and at three of them in the comfortable one.
EACH = [
    pytest.param(name, size, marks=() if size == "80x24" or (size == "120x40" and name in WIDE) else pytest.mark.slow)
    for name in SCREENS
    for size in SIZES
]
WITHOUT_COLOUR = [pytest.param(name, marks=() if name in WIDE else pytest.mark.slow) for name in SCREENS]
EACH_SIZE = [pytest.param(size, marks=() if size == "80x24" else pytest.mark.slow) for size in SIZES]


@pytest.fixture(autouse=True)
def same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs show local time; what was staged years ago has not stalled."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("engine.control.status.run_alerts", lambda *_: {})
    monkeypatch.setattr("engine.control.status.disk_alert", lambda *_: None)
    monkeypatch.setattr("kitui.tui.designer.planner.measure", fixed_speed)
    time.tzset()


def shown(*keys: str) -> Callable[[Pilot[None]], object]:
    """Wait for the sweep's runs, press keys, and let everything be drawn."""

    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, KituiApp)
        for _ in range(200):
            await pilot.pause(0.05)
            if app.snapshot is not None and (app.snapshot.rows or not app.snapshot.status.sweeps):
                break
        assert app.snapshot is not None
        for key in keys:
            await pilot.press({" ": "space", "=": "equals_sign"}.get(key, key))
            await pilot.pause(0.02 if len(key) == 1 and key.isalpha() else 0.2)
        await pilot.pause(0.2)
        app.look_now()
        await pilot.pause(0.8)  # a second reading, with the curves of the run at hand
        calm, version = 0, 0  # and what else a machine under load reads later
        for _ in range(50):
            calm = calm + 1 if app.snapshot.version == version else 0
            version = app.snapshot.version
            if calm == 4:
                break
            await pilot.pause(0.1)

    return before


@pytest.mark.parametrize(("name", "size"), EACH)
def test_screen(screens: Workspace, snap_compare: Callable[..., bool], name: str, size: str) -> None:
    sweep, keys = SCREENS[name]
    assert snap_compare(KituiApp(screens, sweep), terminal_size=SIZES[size], run_before=shown(*keys))


@pytest.mark.parametrize("theme", [name for name in THEMES if name != THEMES[0]])
def test_theme(screens: Workspace, snap_compare: Callable[..., bool], home: Path, theme: str) -> None:
    """The screen that has most of the colours."""
    use_theme(home, theme)
    sweep, keys = SCREENS["law"]
    assert snap_compare(KituiApp(screens, sweep), terminal_size=(80, 24), run_before=shown(*keys))


# The terminal's own colours are the terminal's to choose.
@pytest.mark.parametrize("theme", [name for name in THEMES if not name.startswith("ansi")])
def test_palette(workspace: Workspace, theme: str) -> None:
    """Contrast with what lies behind, as WCAG 2.2 has it: 4.5 for words, 3 for lines and for words that are muted."""
    app = KituiApp(workspace)
    app.theme = theme
    colours = app.get_css_variables()
    grounds = [Color.parse(colours[name]) for name in ("background", "surface", "panel")]

    def contrast(name: str, ground: Color) -> float:
        colour = Color.parse(colours[name])
        lights = sorted(luminance(one) for one in (ground.blend(colour.with_alpha(1), colour.a), ground))
        return (lights[1] + 0.05) / (lights[0] + 0.05)

    for ground in grounds:
        assert contrast("foreground", ground) > 4.5
        assert contrast("foreground-muted", ground) > 3
        assert contrast("text-error", ground) > 4.5
        assert contrast("primary", ground) > 3


def luminance(colour: Color) -> float:
    parts = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in colour.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def use_theme(home: Path, theme: str) -> None:
    (home / "config" / "kitui").mkdir(parents=True)
    (home / "config" / "kitui" / "config.toml").write_text(f'theme = "{theme}"\n')


@pytest.mark.parametrize("size", EACH_SIZE)
def test_an_empty_workspace(workspace: Workspace, snap_compare: Callable[..., bool], size: str) -> None:
    assert snap_compare(KituiApp(workspace), terminal_size=SIZES[size], run_before=shown())


@pytest.mark.parametrize("name", WITHOUT_COLOUR)
def test_without_colour(
    screens: Workspace, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    sweep, keys = SCREENS[name]
    app = KituiApp(screens, sweep)
    wait_until(lambda: app.no_color, 1)
    assert snap_compare(app, terminal_size=(80, 24), run_before=shown(*keys))


async def planned(pilot: Pilot[None], *keys: str) -> None:
    """The designer, with its plan worked out."""
    await shown(*keys)(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, DesignerScreen)
    screen.query_one("#execution-slots", Input).value = "2"  # not this machine's
    cost = screen.query_one("#cost", Static)
    for _ in range(300):
        await pilot.pause(0.1)
        if "2 slots" in str(cost.content):
            break
    screen.query_one("#grid-seed").focus()
    await pilot.pause(0.5)


@pytest.mark.parametrize("size", EACH_SIZE)
def test_designer(
    workspace: Workspace, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    monkeypatch.chdir("/")  # the folder's name is on the screen
    app = KituiApp(workspace)
    assert snap_compare(app, terminal_size=SIZES[size], run_before=lambda pilot: planned(pilot, "2"))


@pytest.mark.slow
@pytest.mark.parametrize("look", ["textual-light", "ansi-dark", "high-contrast", "NO_COLOR"])
def test_designer_in_other_colours(
    screens: Workspace, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, home: Path, look: str
) -> None:
    """On a sweep of which something is known."""
    monkeypatch.chdir("/")
    if look == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        use_theme(home, look)
    app = KituiApp(screens, "smoke")
    assert snap_compare(app, terminal_size=(120, 40), run_before=lambda pilot: planned(pilot, "1", "e"))


@pytest.mark.parametrize("size", EACH_SIZE)
def test_chooser(
    workspace: Workspace, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    monkeypatch.chdir("/")
    before = shown("2", *(8 * ["down"] if size == "80x24" else ["down"]), "ctrl+t")
    assert snap_compare(KituiApp(workspace), terminal_size=SIZES[size], run_before=before)


def fixed_speed(*_: object) -> Probe:
    rates = {
        name: Rate(model=name, num_params=1, train_flops_per_token=1.0, tokens_per_s=10_000.0)
        for name in ("nano-13k", "nano-28k", "nano-49k")
    }
    return Probe(device="a processor", num_threads=1, process_bytes=400_000_000, rates=rates)


@pytest.mark.slow
def test_designer_with_a_fault(
    workspace: Workspace, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    before = shown("2", "tab", "tab", "comma", "x")
    assert snap_compare(KituiApp(workspace), terminal_size=(80, 24), run_before=before)
