"""Randomness by position: numbers and permutations that are functions of a key and an index alone.

Nothing here has a state, so that any position of a stream can be had at once, on any machine, with any version of
NumPy: the mixing function is SplitMix64 (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)


def make_key(*parts: object) -> int:
    """64 bits from any labels and numbers."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "little")


def random_bits(key: int, index: np.ndarray) -> np.ndarray:
    """uint64 of the index's shape, uniform, one for each (key, index)."""
    with np.errstate(over="ignore"):
        z = (index.astype(np.uint64) + np.uint64(1)) * _GOLDEN + np.uint64(key)
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        return z ^ (z >> np.uint64(31))


def random_below(key: int, index: np.ndarray, bound: np.ndarray | int) -> np.ndarray:
    """int64 in [0, bound), one for each index. Multiplies the top 32 bits, hence for bounds under 2^31."""
    top = (random_bits(key, index) >> np.uint64(32)).astype(np.int64)
    return (top * np.asarray(bound, dtype=np.int64)) >> 32


def shuffled(key: int, size: int) -> np.ndarray:
    """A permutation of range(size), in O(size log size). For one place of a huge permutation: `permuted`."""
    return np.argsort(random_bits(key, np.arange(size)), kind="stable")


def permuted(key: int, index: int, size: int) -> int:
    """Where a keyed permutation of range(size) sends `index`, in O(1) time and memory.

    A four-round Feistel network on the smallest even number of bits that holds `size`, walked along its cycle until
    it falls into the range (Black and Rogaway 2002).
    """
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half_bits) - 1
    while True:
        left, right = index >> half_bits, index & mask
        for round_index in range(4):
            left, right = right, left ^ (_mix(key + round_index, right) & mask)
        index = (left << half_bits) | right
        if index < size:
            return index


def _mix(key: int, value: int) -> int:
    """`random_bits` for one Python integer: many times faster than NumPy on a scalar."""
    z = ((value + 1) * 0x9E3779B97F4A7C15 + key) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return z ^ (z >> 31)
