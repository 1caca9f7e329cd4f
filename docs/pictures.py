"""The pictures of docs/walkthrough.md: the real app on the real demo, driven by its keys.

    python docs/pictures.py [WORKSPACE]

Trains `kitui demo` and its neutral arm in the workspace (a new one unless given; 11 minutes on 2 cores) and writes
docs/pictures/*.svg. In a workspace where both are trained already, the picture of the training stays as it is.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from engine.records.states import RunStatus
from engine.records.workspace import Workspace
from kitui.tui.app import KituiApp

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "sample_data"
SIZE = (120, 36)
TRAINING_S = 1800.0


class Camera:
    def __init__(self, pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app, KituiApp)
        self.pilot, self.app = pilot, pilot.app

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause(0.1)

    async def type(self, text: str) -> None:
        for character in text:
            self.app.simulate_key(character)
            await self.pilot.pause()

    async def until(self, condition: Callable[[], object], limit_s: float = 60.0) -> None:
        async with asyncio.timeout(limit_s):
            while not condition():
                await self.pilot.pause(0.2)

    async def take(self, name: str, settle_s: float = 1.5) -> None:
        """Write the screen as SVG, once what follows the keys has come."""
        await self.pilot.pause(settle_s)
        picture = self.app.export_screenshot(title="kitui")
        # No font is fetched from elsewhere: a page that shows the picture may be read offline.
        picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
        (HERE / "pictures" / f"{name}.svg").write_text(picture)
        print(name, flush=True)

    def count(self, status: RunStatus) -> int:
        row = self.app.snapshot.status.sweep("laptop") if self.app.snapshot else None
        return row.num(status) if row else 0


def draw_figures(workspace: Workspace) -> None:
    """The figures of `kitui figure`, on the demo."""
    for kind in ("curves", "law", "map"):
        path = HERE / "pictures" / f"figure-{kind}.svg"
        argv = [sys.executable, "-m", "kitui", "figure", "laptop", kind, "-o", str(path)]
        subprocess.run([*argv, "--workspace", str(workspace.root)], check=True)


async def photograph(workspace: Workspace, demo: subprocess.Popen[bytes]) -> None:
    app = KituiApp(workspace, "laptop")
    async with app.run_test(size=SIZE) as pilot:
        camera = Camera(pilot)
        await camera.until(lambda: camera.count(RunStatus.DONE) >= 40, TRAINING_S)
        if camera.count(RunStatus.RUNNING):
            await camera.press("g", "o", "o", "o", "end")
            await camera.take("training")
        await camera.until(lambda: demo.poll() is not None, TRAINING_S)

    launch = [sys.executable, "-m", "kitui", "launch", str(SAMPLES / "laptop-neutral.toml"), "--watch"]
    env = os.environ | {"KITUI_WORKSPACE": str(workspace.root)}
    await asyncio.to_thread(subprocess.run, launch, env=env, check=True, stdout=subprocess.DEVNULL)
    for sweep in ("laptop", "laptop-neutral"):  # their analysis is up to date before it is looked at
        law = [sys.executable, "-m", "kitui", "law", sweep]
        await asyncio.to_thread(subprocess.run, law, env=env, check=False, stdout=subprocess.DEVNULL)

    app = KituiApp(workspace)
    async with app.run_test(size=SIZE) as pilot:
        camera = Camera(pilot)
        await camera.until(lambda: app.snapshot and app.snapshot.rows and app.snapshot.analysis)
        await camera.press("home")
        await camera.until(lambda: app.snapshot and app.snapshot.sweep == "laptop" and app.snapshot.analysis)
        await camera.take("sweeps")
        await asyncio.to_thread(draw_figures, workspace)
        await camera.press("3")
        await camera.until(lambda: app.snapshot and app.snapshot.sweep == "laptop")
        await camera.press("g", "s", "down", "down", "down", "down")
        await camera.take("cells")
        await camera.press("slash")
        await camera.type("params>40k and frequency>=42")
        await camera.press("enter", "home", "space", "down", "space", "down", "space")
        await camera.take("filter")
        await camera.press("question_mark")
        await camera.take("help")
        await camera.press("escape", "4")
        await camera.take("law", 3)
        await camera.press("m", "down", "down", "right", "right", "right", "right")
        await camera.take("map", 2)
        await camera.press("m")
        await camera.press("t")
        await camera.type("111k")
        await camera.press("enter")
        await camera.take("prediction", 3)
        await camera.press("escape", "a")
        await camera.take("neutral", 3)
        await camera.press("1")
        app.design("laptop")
        await pilot.pause(3)
        await camera.press("down", "end")
        await camera.type(", nano-111k")
        await camera.take("designer", 20)
        await camera.press("ctrl+t")
        await camera.take("chooser")


def main() -> None:
    # A home of its own: what the person who runs this has configured is in no picture.
    home = tempfile.mkdtemp(prefix="kitui-home-")
    os.environ |= {"XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home}
    os.environ.pop("SSH_CONNECTION", None)
    os.environ.pop("NO_COLOR", None)
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="kitui-demo-"))
    workspace = Workspace(folder)
    workspace.create()
    (HERE / "pictures").mkdir(exist_ok=True)
    demo = subprocess.Popen(
        [sys.executable, "-m", "kitui", "demo", "--headless", "--workspace", str(folder)], stdout=subprocess.DEVNULL
    )
    try:
        asyncio.run(photograph(workspace, demo))
    finally:
        demo.terminate()


if __name__ == "__main__":
    main()
