"""The rooms of the house and what may lead where: the import contracts, types and style that pyproject.toml states."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    "check",
    [
        ["importlinter.cli", "lint_imports_command"],
        ["mypy"],
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
    ],
    ids=["imports", "types", "style", "format"],
)
def test_static_checks(check: list[str]) -> None:
    argv = [sys.executable, "-m", *check]
    if check[0] == "importlinter.cli":
        argv = [sys.executable, "-c", f"from {check[0]} import {check[1]}; {check[1]}()"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_program_reads_goes_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {name: f"kitui/{name}" for name in ("sample_data", "docs/glossary.md")}


def test_every_test_file_mirrors_a_module() -> None:
    """tests/engine/spec/test_sweep.py tests engine/spec/sweep.py; files named after behaviour are the few listed."""
    of_behaviour = {
        "test_golden.py", "test_golden_law.py", "test_harness.py", "test_gate.py", "test_bad_sweeps.py",
        "test_private_parts.py", "test_actions.py", "test_live.py", "test_screens.py", "test_terminal.py",
    }  # fmt: skip
    paths = [path for package in ("engine", "kitui") for path in (ROOT / "tests" / package).rglob("test_*.py")]
    assert paths
    for path in paths:
        module = ROOT / path.relative_to(ROOT / "tests").parent / path.name.removeprefix("test_")
        assert module.exists() or path.name in of_behaviour, path


def test_the_app_starts_without_what_only_planning_and_fits_need() -> None:
    words = "import sys, kitui.tui.app; print([m for m in ('pydantic', 'scipy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
