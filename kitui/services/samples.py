"""The sample sweeps and facts that come with kitui."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def sample_path(name: str) -> Path:
    """A file of sample_data/: inside the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "sample_data" / name
    return installed if installed.exists() else _PACKAGE.parent / "sample_data" / name
