"""Content of files as it travels in JSON."""

from __future__ import annotations

import base64
import zlib

from engine.errors import LaunchError

_LARGEST_BYTES = 64 * 2**20


def packed(data: bytes) -> str:
    """Bytes as text that JSON can carry; `unpacked` is its inverse."""
    return base64.b64encode(zlib.compress(data, 1)).decode()


def unpacked(text: str) -> bytes:
    """What the agent packed; not more than a file of a run can be, whatever a host sends."""
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(text), _LARGEST_BYTES)
    if unpacker.unconsumed_tail:
        raise LaunchError("a host sent more than a file of a run can hold.")
    return data
