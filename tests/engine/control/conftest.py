"""Machines to work with: real sshd processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import Farm, farm


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Farm]:
    root = tmp_path / "farm"
    root.mkdir()
    with farm(root) as found:
        for name, value in found.env.items():
            monkeypatch.setenv(name, value)
        yield found
