"""Private parts of other libraries that kitui uses: named here, and there in the versions that are installed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from textual import _xterm_parser
from textual.app import App
from textual.command import CommandPalette
from textual.drivers.linux_driver import LinuxDriver
from textual_serve.server import Server

from tests.conftest import ROOT

USED = {
    "kitui/cli/serving.py": {"_make_app"},
    "kitui/tui/textual_fixes/calling.py": {"_driver"},
    "kitui/tui/textual_fixes/clipboard.py": {"_driver"},
    "kitui/tui/textual_fixes/early_modes.py": {"_init_mode", "_screen_stacks"},
    "kitui/tui/textual_fixes/palette.py": {"_action_command_list"},
    "kitui/tui/textual_fixes/sleeping_driver.py": {"_debug", "_xterm_parser"},
}
"""They are why pyproject.toml has upper bounds for Textual and textual-serve."""

PUBLIC = {"_asdict", "_fields", "_replace", "_exit"}
"""Documented names of named tuples and of os."""


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _own_names(tree: ast.Module) -> Iterator[str]:
    """What the classes of a file define."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ctx=ast.Store(), attr=name):
                yield name
            case ast.ClassDef(body=parts):
                for part in parts:
                    match part:
                        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                            yield name
                        case ast.AnnAssign(target=ast.Name(id=name)):
                            yield name


def _foreign_names(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """Private names of others that a file uses."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=name) if _is_private(name):
                yield name
            case ast.Attribute(attr=name) if _is_private(name) and name not in own | PUBLIC:
                yield name
            case ast.ImportFrom(module=str(module), names=aliases):
                yield from filter(_is_private, [*module.split("."), *(alias.name for alias in aliases)])


def test_private_parts_are_used_only_where_this_file_says() -> None:
    paths = [path for package in ("engine", "kitui") for path in (ROOT / package).rglob("*.py")]
    trees = {path: ast.parse(path.read_text()) for path in paths}
    own = {name for tree in trees.values() for name in _own_names(tree)}
    found = {path: names for path, tree in trees.items() if (names := set(_foreign_names(tree, own)))}
    assert {str(path.relative_to(ROOT)): names for path, names in found.items()} == USED


async def test_the_installed_versions_have_them() -> None:
    app = App[None]()
    assert [name for name in ("_driver", "_init_mode", "_screen_stacks") if not hasattr(app, name)] == []
    assert hasattr(CommandPalette, "_action_command_list")
    assert hasattr(LinuxDriver(app, size=(80, 24)), "_debug")
    assert hasattr(_xterm_parser, "XTermParser")
    assert hasattr(Server, "_make_app")
