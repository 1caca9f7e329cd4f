"""Counting exposures in the tokens that were trained on, without asking the schedule.

Every rendering of every fact is looked for in every row by a rolling hash; the longest match wins where one rendering
holds another. So a mistake in the mixture, and facts that the background happens to state, both show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from engine.corpus.facts import all_renderings
from engine.corpus.rolling_hash import row_hashes, window_hashes
from engine.corpus.tokenizer import Tokenizer
from engine.spec import fact_sets
from engine.spec.runspec import FactSets


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
            hashes = row_hashes(np.stack([self._renderings[i] for i in indices]))
            order = np.argsort(hashes, kind="stable")
            self._tables[length] = (hashes[order], indices[order])

    def count(self, rows: Sequence[np.ndarray]) -> None:
        """Add the exposures in these rows of token ids. None is looked for across the end of a row."""
        if not rows:
            return
        # A token id that no rendering has stands between rows.
        flat = np.concatenate([part for row in rows for part in (row, _BREAK)])
        taken = np.zeros(len(flat), dtype=bool)
        hashes_of = window_hashes(flat)
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
