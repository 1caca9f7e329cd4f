"""The files that come with kitui beside its code: sample sweeps and facts, and the words of the program."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def packaged(name: str) -> Path:
    """A file that comes with kitui: inside the installed package, or beside it in a checkout."""
    installed = _PACKAGE / name
    return installed if installed.exists() else _PACKAGE.parent / name


def sample_path(name: str) -> Path:
    """A file of sample_data/."""
    return packaged(f"sample_data/{name}")
