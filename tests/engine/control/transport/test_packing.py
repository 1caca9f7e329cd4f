"""Content of files on its way in JSON."""

from __future__ import annotations

import pytest

from engine.control.transport import packing
from engine.errors import LaunchError


def test_content_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packing.unpacked(packing.packed(b"x" * 1000)) == b"x" * 1000
    monkeypatch.setattr(packing, "_LARGEST_BYTES", 100)
    with pytest.raises(LaunchError, match="more than a file"):
        packing.unpacked(packing.packed(b"x" * 1000))
