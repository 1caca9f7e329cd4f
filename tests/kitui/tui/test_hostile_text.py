"""Whatever stands in a workspace's documents, a terminal gets letters: no control sequence, no turned line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.control.ledger.ledger import Ledger
from engine.control.ledger.lock import Lock
from engine.records.analysis import read_analysis
from engine.records.metrics import EventRecord, MetricsWriter
from engine.records.plan import read_plan
from engine.records.record import write_record
from engine.records.states import RunStatus
from engine.records.workspace import Workspace
from tests.conftest import wait_until
from tests.factory import make_host
from tests.kitui.conftest import make_simulated, make_staged
from tests.kitui.tui.terminal import Terminal

# A window's title, a colour in both spellings, a screen cleared, text turned round.
EVIL = "EVIL\x1b]0;PWNED\x07\x1b[31m\x9b32m\x1b[2J\u202eturned\u2066"
KEYS = [
    "\x1b[B", "1", "2", "3", "\r", "l", "\x1b", "v", "g", "m", "/", "EVIL\r", "\x1b", "4", "\r", "\x1b", "p", "\x1b",
    "5", "?", "w", "\x1b", "1", "\x1b[A", "3", "\r", "4", "y",
]  # fmt: skip
FORBIDDEN = ("\x1b]0;PWNED", "\x9b", "\u202e", "\u2066")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Sweeps like any, but for what every document says in words."""
    workspace = Workspace(tmp_path_factory.mktemp("hostile"))
    make_simulated(workspace)
    make_staged(workspace)
    for name in ("smoke", "simulated"):
        folder = workspace.sweep(name)
        plan, document = read_plan(folder.plan), read_analysis(folder.law)
        assert plan is not None
        assert document is not None
        cells = tuple(msgspec.structs.replace(cell, model=f"{cell.model}{EVIL}") for cell in plan.cells)
        write_record(folder.plan, msgspec.structs.replace(plan, cells=cells, fill=EVIL, mixture=EVIL, notes=(EVIL,)))
        points = tuple(msgspec.structs.replace(p, reason=EVIL) for p in document.law.collapse_points)
        law = msgspec.structs.replace(document.law, collapse_points=points, warnings=(EVIL,), reason=EVIL)
        write_record(folder.law, msgspec.structs.replace(document, law=law))
        if folder.bundle.exists():  # what was launched says the same
            folder.bundle.unlink()
    ledger = Ledger(workspace)
    sweep = ledger.change_sweep("smoke")
    sweep.analysis_error, sweep.too_wide, sweep.disk_full, sweep.host_faults = EVIL, EVIL, EVIL, {"local": EVIL}
    for run_id in ledger.runs:
        run = ledger.change_run(run_id)
        run.reason = EVIL
        if run.status is RunStatus.FAILED or run.results:
            folder = workspace.run(run_id)
            folder.root.mkdir(exist_ok=True)
            folder.log.write_text(f"{EVIL}\n")
            writer = MetricsWriter(folder.metrics)
            writer.write(EventRecord(attempt=1, step=99, name=EVIL, text=EVIL))
            writer.close()
    state = make_host("gpu1", fault=EVIL, set_aside=EVIL)
    ledger.change_host("gpu1")
    ledger.hosts["gpu1"] = state
    ledger.close()
    with Lock(workspace):
        yield workspace


def check(written: str) -> None:
    for sequence in FORBIDDEN:
        assert sequence not in written, written[max(0, written.index(sequence) - 200) :][:300]


def test_no_screen_lets_a_control_sequence_through(hostile: Workspace, tmp_path: Path) -> None:
    environment = os.environ | {"KITUI_WORKSPACE": str(hostile.root), "XDG_STATE_HOME": str(tmp_path)}
    with Terminal([sys.executable, "-m", "kitui"], environment, 160, 50) as terminal:
        wait_until(lambda: "smoke" in terminal.text, 30, lambda: terminal.text)
        # Each screen, its views, a page of a point, the log, the comparison, the filter, the help.
        for keys in KEYS:
            terminal.send(keys)
            time.sleep(0.4)
        wait_until(lambda: "EVIL" in terminal.written, 10)
        written = terminal.written
    assert written.count("EVIL") > 5
    check(written)


QUICK = (["status"], ["runs", "smoke", "--mean"], ["law", "smoke"], ["runs", "smoke", "--json"])
OTHERS = (
    ["status", "--json"], ["runs", "smoke"], ["curves", "smoke"], ["law", "simulated", "--json"], ["hosts"],
    ["compare", "smoke", "simulated"], ["watch", "--once"], ["doctor"], ["logs", "nano-3k-f0-s0"],
    ["predict", "simulated", "--params", "1M"],
)  # fmt: skip
COMMANDS = [*QUICK, *(pytest.param(command, marks=pytest.mark.slow) for command in OTHERS)]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_no_command_lets_a_control_sequence_through(hostile: Workspace, arguments: list[str]) -> None:
    environment = os.environ | {"KITUI_WORKSPACE": str(hostile.root), "COLUMNS": "200"}
    argv = [sys.executable, "-m", "kitui", *arguments]
    with Terminal(argv, environment, 200, 50) as terminal:
        terminal.wait()
        check(terminal.written)
    piped = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    assert "Traceback" not in piped.stderr
    check(piped.stdout + piped.stderr)
