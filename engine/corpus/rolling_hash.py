"""Hashes of runs of tokens, wherever they stand: a polynomial over uint64, wrapping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from engine.corpus.keyed import random_bits

_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
_INVERSE_BASE: Final = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))


def _powers(base: np.uint64, count: int) -> np.ndarray:
    return np.cumprod(np.concatenate([[np.uint64(1)], np.full(count, base)]))


def row_hashes(tokens_RL: np.ndarray) -> np.ndarray:
    """The hash of each row: a polynomial over uint64, wrapping, of the tokens, mixed to 64 bits first."""
    with np.errstate(over="ignore"):
        products_RL = random_bits(0, tokens_RL) * _powers(_BASE, tokens_RL.shape[1] - 1)
        hashes_R: np.ndarray = products_RL.sum(axis=1, dtype=np.uint64)
    return hashes_R


def window_hashes(tokens: np.ndarray) -> Callable[[int], np.ndarray]:
    """For a length, `row_hashes` of every window of so many tokens: differences of prefix sums, shifted back to
    power 0 so that equal windows have equal hashes wherever they are."""
    with np.errstate(over="ignore"):
        terms = random_bits(0, tokens) * _powers(_BASE, len(tokens) - 1)
        sums = np.concatenate([[np.uint64(0)], np.cumsum(terms)])
        inverse = _powers(_INVERSE_BASE, len(tokens))

    def of_length(n: int) -> np.ndarray:
        num_windows = max(0, len(tokens) - n + 1)
        with np.errstate(over="ignore"):
            hashes: np.ndarray = (sums[n : n + num_windows] - sums[:num_windows]) * inverse[:num_windows]
        return hashes

    return of_length
