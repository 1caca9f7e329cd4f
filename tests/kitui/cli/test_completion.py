"""What shells complete, asked as they ask, and in a real bash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CommandLine

ASK = {
    "bash": lambda words: {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)},
    "zsh": lambda words: {"_TYPER_COMPLETE_ARGS": " ".join(words)},
    "fish": lambda words: {"_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
}


@pytest.fixture(scope="module")
def two_sweeps(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    line = CommandLine(tmp_path_factory.mktemp("completion"))
    for name in ("alpha", "beta"):
        done = line("simulate", "--name", name, "--sizes", "7k", "--frequencies", "0,8", "--seeds", "1")
        assert done.returncode == 0, done.stderr
    (line.workspace.root / "runs" / "0123abcd").mkdir(parents=True)
    (line.folder / "mine.toml").touch()
    return line


def completed(line: CommandLine, shell: str, words: list[str]) -> str:
    environment = line.environment(_KITUI_COMPLETE=f"complete_{shell}", **ASK[shell](words))
    argv = [sys.executable, "-c", "import sys; sys.argv = ['kitui']; from kitui.__main__ import main; main()"]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, cwd=line.folder, check=False)
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", ASK)
@pytest.mark.parametrize(
    ("words", "offered", "not_offered"),
    [
        (["kitui", "law", "al"], "alpha", "beta"),
        (["kitui", "curves", "m"], "mine.toml", "alpha"),
        (["kitui", "delete", "be"], "beta", "alpha"),
        (["kitui", "logs", "01"], "0123abcd", "alpha"),
        (["kitui", "cancel", "0"], "0123abcd", "beta"),
        (["kitui", "pre"], "predict", "law"),
    ],
)
def test_names_are_offered(
    two_sweeps: CommandLine, shell: str, words: list[str], offered: str, not_offered: str
) -> None:
    found = completed(two_sweeps, shell, words)
    assert offered in found
    assert not_offered not in found


def test_nothing_is_offered_where_there_is_no_workspace(two_sweeps: CommandLine) -> None:
    words = ["kitui", "law", "--workspace", str(two_sweeps.folder / "none"), "al"]
    assert "alpha" not in completed(two_sweeps, "bash", words)


def test_what_is_shown_for_bash_works_in_bash(two_sweeps: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "kitui").symlink_to(Path(sys.executable).with_name("kitui"))
    script = """
    eval "$(kitui --show-completion)"
    COMP_WORDS=(kitui law be) COMP_CWORD=2
    _kitui_completion kitui be law
    echo "${COMPREPLY[@]}"
    """
    environment = two_sweeps.environment(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    )
    assert done.stdout.strip() == "beta", done.stderr
