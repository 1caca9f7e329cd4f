"""The rooms of the house and what may lead where: the import contracts, types and style that pyproject.toml states."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT


@pytest.mark.long
@pytest.mark.parametrize(
    "check",
    [
        ["importlinter.cli", "lint_imports_command"],
        pytest.param(["mypy"], marks=pytest.mark.slow),
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


# Where a signature of these rooms says Any, and why.
ANY = {
    "engine/control/onhost/guard.py": "JSON: no records where there is the standard library only",
    "engine/control/onhost/slurm.py": "JSON: no records where there is the standard library only",
    "engine/records/record.py": "JSON content; what msgspec and pydantic hand each other",
    "engine/records/workspace.py": "JSON whose shape is not known yet",
    "kitui/services/orders.py": "each verb's words are about its own kind of command",
}


def test_any_crosses_no_border_unseen() -> None:
    found = set()
    for room in ("engine/control", "engine/records", "kitui/services"):
        for path in (ROOT / room).rglob("*.py"):
            functions = [
                node
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            ]
            hints = [
                part for one in functions for part in (one.returns, *(a.annotation for a in arguments(one))) if part
            ]
            if any(isinstance(part, ast.Name) and part.id == "Any" for hint in hints for part in ast.walk(hint)):
                found.add(str(path.relative_to(ROOT)))
    assert found == set(ANY)


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    of = function.args
    return [*of.posonlyargs, *of.args, *of.kwonlyargs, *(one for one in (of.vararg, of.kwarg) if one)]


def test_dependencies_are_what_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {Requirement(text).name for text in project["dependencies"]}
    modules = set()
    for path in [path for package in ("engine", "kitui") for path in (ROOT / package).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=aliases):
                    modules |= {alias.name.partition(".")[0] for alias in aliases}
                case ast.ImportFrom(module=str(module), level=0):
                    modules.add(module.partition(".")[0])
    on_hosts = {path.stem for path in (ROOT / "engine/control/onhost").glob("*.py")}  # started as scripts
    others = modules - sys.stdlib_module_names - {"engine", "kitui"} - on_hosts
    found = {dist for module in others for dist in packages_distributions()[module]}
    assert {name.lower().replace("_", "-") for name in found} == declared


def test_every_dependency_has_a_tested_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        Requirement(text) for text in [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    ]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    tested = {pin.name: str(pin.specifier).removeprefix("==") for pin in map(Requirement, lines)}
    assert {one.name for one in wanted} == set(tested)
    assert [one for one in wanted if tested[one.name] not in one.specifier] == []


def test_every_test_file_mirrors_a_module() -> None:
    """tests/engine/spec/test_sweep.py tests engine/spec/sweep.py; files named after behaviour are the few listed."""
    of_behaviour = {
        "test_golden.py", "test_golden_law.py", "test_harness.py", "test_gate.py", "test_bad_sweeps.py",
        "test_interrupted.py",
        "test_private_parts.py", "test_damage.py", "test_hostile_text.py", "test_actions.py", "test_live.py",
        "test_screens.py", "test_terminal.py",
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
