"""Shared fixtures: the sample data, sweeps written on the spot, a prepared corpus, the command line as a subprocess."""

from __future__ import annotations

import os

# Before numpy is loaded: as the analysis command is started, and workers side by side would fight over the cores.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from engine.control.commands.queue import order
from engine.control.ledger.lock import Lock
from engine.control.ledger.state_file import read_state
from engine.corpus.prepare import make, plan
from engine.records.bundle import SweepBundle
from engine.records.commands import Cancel
from engine.records.record import encoded
from engine.records.workspace import Workspace, write_json

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_data"

# Also where there is a GPU: figures on file are a CPU's, and a forked process cannot begin with CUDA.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

settings.register_profile("kitui", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kitui")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-inputs", type=int, default=300, help="How many inputs each reader is given.")
    parser.addoption("--soak-seconds", type=float, default=10.0, help="How long each mode of tests/soak lasts.")
    parser.addoption("--soak-seed", type=int, default=1, help="Of the harm that tests/soak does; 0 draws one.")


@pytest.fixture(scope="session")
def samples() -> Path:
    return SAMPLES


def sweep_text(**changes: str) -> str:
    """smoke.toml with some lines replaced: `sweep_text(seed='[0]')`."""
    lines = (SAMPLES / "smoke.toml").read_text().splitlines()
    for key, value in changes.items():
        places = [i for i, line in enumerate(lines) if line.startswith(f"{key} =")]
        assert places, f"no key {key} in smoke.toml"
        lines[places[0]] = f"{key} = {value}"
    return "\n".join(lines) + "\n"


@pytest.fixture
def write_sweep(tmp_path: Path) -> Callable[..., Path]:
    """Writes a variant of smoke.toml beside the sample facts and templates, and gives its path."""

    def write(text: str | None = None, *, name: str = "sweep.toml", **changes: str) -> Path:
        for file in ("facts.jsonl", "templates.toml"):
            if not (tmp_path / file).exists():
                shutil.copyfile(SAMPLES / file, tmp_path / file)  # no link: tests write their own in its place
        path = tmp_path / name
        path.write_text(sweep_text(**changes) if text is None else text)
        return path

    return write


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "workspace")
    made.create()
    return made


class Prepared:
    """A sweep prepared in a workspace, without a supervisor: for tests of the training itself."""

    def __init__(self, workspace: Workspace, bundle: SweepBundle) -> None:
        self.workspace, self.bundle = workspace, bundle


def prepare(sweep: Path, workspace: Workspace) -> Prepared:
    bundle = plan(sweep, workspace)
    folder = workspace.sweep(bundle.plan.sweep)
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.bundle.write_bytes(encoded(bundle))
    make(folder, workspace)
    write_json(workspace.facts(bundle.plan.facts_id), bundle.facts.model_dump(mode="json"))
    return Prepared(workspace, bundle)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """smoke.toml, prepared once a test process."""
    workspace = Workspace(tmp_path_factory.mktemp("smoke"))
    workspace.create()
    return prepare(SAMPLES / "smoke.toml", workspace)


class CommandLine:
    """`kitui` as a subprocess, in a workspace of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = Workspace(folder / "workspace")
        self.summary = ""

    def environment(self, **changes: str) -> dict[str, str]:
        own = {"KITUI_WORKSPACE": str(self.workspace.root), "COLUMNS": "100", "NO_COLOR": "1"}
        # What a user has in the home folder is not a test's to read or to write.
        own |= {"XDG_STATE_HOME": str(self.folder / "state"), "XDG_CONFIG_HOME": str(self.folder / "config")}
        return os.environ | own | changes

    def __call__(self, *arguments: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "kitui", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(),
            cwd=self.folder,
            check=False,
        )

    def json(self, *arguments: object) -> Any:
        """What a command that ends well prints with --json."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def kitui(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line; the supervisor it may have started is ended afterwards."""
    line = CommandLine(tmp_path)
    yield line
    end_supervisor(line.workspace)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """smoke.toml launched and trained to the end. Tests that use it may add to the workspace, and leave the runs."""
    line = CommandLine(tmp_path_factory.mktemp("trained"))
    done = line("launch", SAMPLES / "smoke.toml", "--watch")
    assert done.returncode == 0, done.stderr
    line.summary = done.stdout
    yield line
    end_supervisor(line.workspace)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share the trained sweep share a process: it takes half a minute to make. The longest come first."""
    for item in items:
        if "trained" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("trained"))
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def in_full_disk(
    folder: Path, size: str, argv: list[str], timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that sees a file system of `size` mounted at `folder`; skips where users may not mount one."""
    if shutil.which("unshare") is None:
        pytest.skip("needs util-linux's unshare")
    script = f'mount -t tmpfs -o size={size} none "$0" || exit 99; cd "$0"; "$@"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(folder), *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    if done.returncode == 99 or done.stderr.startswith("unshare"):
        pytest.skip(f"this machine lets no user mount a tmpfs: {done.stderr.strip()}")
    return done


def end_supervisor(workspace: Workspace) -> None:
    """Cancel what runs and end the supervisor of a workspace, if there is one."""
    holder = Lock(workspace).holder()
    if holder is None:
        return
    state = read_state(workspace)
    if state.sweeps:
        order(workspace, Cancel(names=tuple(state.sweeps)))
    wait_until(lambda: not running(workspace), 30)
    os.kill(holder.pid, 15)
    wait_until(lambda: Lock(workspace).holder() is None, 15)


def running(workspace: Workspace) -> list[str]:
    return [name for name, run in read_state(workspace).runs.items() if run.is_running]


def wait_until(condition: Callable[[], object], seconds: float, show: Callable[[], object] = lambda: "") -> None:
    """Poll until it holds; fails the test if it does not in time, with what `show` says then."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s\n{show()}"
        time.sleep(0.05)


def read_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
