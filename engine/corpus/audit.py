"""Counting exposures in the tokens that were trained on, without asking the schedule.

Every rendering of every fact is looked for in every row by a rolling hash; the longest match wins where one rendering
holds another. So a mistake in the mixture, and facts that the background happens to state, both show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from engine.corpus.facts import all_renderings
from engine.corpus.keyed import random_bits
from engine.corpus.tokenizer import Tokenizer
from engine.spec import fact_sets
from engine.spec.runspec import FactSets

_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
_INVERSE_BASE: Final = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))


class ExposureAudit:
    """`counts[fact_set][fact, column]`: exposures found so far; columns as in `Renderings.columns`, negative ones
    from the end."""

    def __init__(self, facts: FactSets, tokenizer: Tokenizer, row_length: int) -> None:
        of_sets = {n: all_renderings(facts, getattr(facts, n), tokenizer, row_length) for n in fact_sets.DRAWN}
        num_columns = max(len(by_column) for of_set in of_sets.values() for by_column in of_set)
        self.counts = {name: np.zeros((len(of_set), num_columns), dtype=np.int64) for name, of_set in of_sets.items()}
        owners, renderings = [], []
        for name, of_set in of_sets.items():
            for index, by_column in enumerate(of_set):
                for column, ids in by_column.items():
                    owners.append((name, index, column))
                    renderings.append(ids)
        by_length: dict[int, list[int]] = {}
        self._owners = owners
        self._renderings = renderings
        for index, ids in enumerate(self._renderings):
            by_length.setdefault(len(ids), []).append(index)
        self._tables = {}
        for length in sorted(by_length, reverse=True):
            indices = np.array(by_length[length])
            hashes = _row_hashes(np.stack([self._renderings[i] for i in indices]))
            order = np.argsort(hashes, kind="stable")
            self._tables[length] = (hashes[order], indices[order])

    def count(self, rows: Sequence[np.ndarray]) -> None:
        """Add the exposures in these rows of token ids. None is looked for across the end of a row."""
        if not rows:
            return
        # A token id that no rendering has stands between rows.
        flat = np.concatenate([part for row in rows for part in (row, _BREAK)])
        taken = np.zeros(len(flat), dtype=bool)
        hashes_of = _window_hashes(flat)
        for length, (known, indices) in self._tables.items():
            windows = hashes_of(length)
            place = np.minimum(np.searchsorted(known, windows), len(known) - 1)
            for start in np.flatnonzero(known[place] == windows).tolist():
                rendering = int(indices[place[start]])
                window = slice(start, start + length)
                if not taken[window].any() and np.array_equal(flat[window], self._renderings[rendering]):
                    taken[window] = True
                    name, fact, column = self._owners[rendering]
                    self.counts[name][fact, column] += 1


_BREAK: Final = np.array([-1], dtype=np.int64)


def _powers(base: np.uint64, count: int) -> np.ndarray:
    return np.cumprod(np.concatenate([[np.uint64(1)], np.full(count, base)]))


def _row_hashes(tokens_RL: np.ndarray) -> np.ndarray:
    """The hash of each row: a polynomial over uint64, wrapping, of the tokens, mixed to 64 bits first."""
    with np.errstate(over="ignore"):
        products_RL = random_bits(0, tokens_RL) * _powers(_BASE, tokens_RL.shape[1] - 1)
        hashes_R: np.ndarray = products_RL.sum(axis=1, dtype=np.uint64)
    return hashes_R


def _window_hashes(tokens: np.ndarray) -> Callable[[int], np.ndarray]:
    """For a length, `_row_hashes` of every window of so many tokens: differences of prefix sums, shifted back to
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
