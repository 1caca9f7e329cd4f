"""Ctrl-C at a question or a bar, on a real terminal: the exit code is the contract's, and nothing is changed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from engine.control.ledger.state_file import read_state
from tests.conftest import CommandLine, wait_until
from tests.kitui.tui.terminal import Terminal

HOST = '[box]\nssh = "nobody.invalid"\nworkspace = "/tmp/none"\npython = "python3"\n'


def interrupted(kitui: CommandLine, words: str, *arguments: object) -> str:
    """What was said after Ctrl-C, given once `words` can be read."""
    argv = [sys.executable, "-m", "kitui", *map(str, arguments)]
    with Terminal(argv, kitui.environment(), columns=100, lines=30) as terminal:
        wait_until(lambda: words in terminal.text, 60, lambda: terminal.text)
        terminal.send("\x03")
        assert terminal.wait() == 130, terminal.text
    assert "Traceback" not in terminal.text
    return terminal.text


def test_at_a_question(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    assert kitui("simulate", "--name", "kept").returncode == 0
    interrupted(kitui, "had back within 7 days?", "delete", "kept")
    assert kitui("status", "kept").returncode == 0

    abandoned = kitui.workspace.run("nano-3k-f4-s0-0123456789ab")
    abandoned.root.mkdir(parents=True)
    abandoned.log.write_text("of a sweep that was deleted")
    interrupted(kitui, "in all?", "clean")
    assert abandoned.log.exists()

    (kitui.workspace.root / "hosts.toml").write_text(HOST)
    interrupted(kitui, "GPU-hours on box", "launch", write_sweep(), "--host", "box")
    assert "sweep" not in read_state(kitui.workspace).sweeps


def test_at_a_bar(kitui: CommandLine, write_sweep: Callable[..., Path]) -> None:
    """Who stops looking stops nothing: the runs go on."""
    path = write_sweep(model_size='["nano-3k"]', infusion_frequency="[0, 4]", seed="[0]", num_tokens='["20k"]')
    interrupted(kitui, "sweep", "launch", path, "--watch")
    assert kitui("watch", "sweep", "--plain").returncode == 0
    assert kitui.json("status", "sweep")["sweeps"][0]["done"] == 2
