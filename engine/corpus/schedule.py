"""Where exposures go: each pass writes every fact of a set once, into its own stretch of the stream's rows.

A stream has rows of `row_length` tokens. `num_passes` passes share the rows evenly, so that a fact's exposures are
spread over the whole stream; within its stretch a pass is laid out by a keyed shuffle, and no exposure is ever cut by
the end of a row. A layout is computed from the pass alone: any row can be had without the rows before it.
"""

from __future__ import annotations

import heapq
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from engine.corpus.keyed import make_key, random_below, random_bits, shuffled

# Passes of few facts are laid out several at a time: a stretch of one or two rows packs badly.
_MIN_EXPOSURES_PER_GROUP = 64


class Placed(NamedTuple):
    """One exposure in a row: tokens [offset, offset + length) are `fact` written in `template` (both indices)."""

    offset: int
    length: int
    fact: int
    template: int


class _Group(NamedTuple):
    """Consecutive passes laid out together over rows [first_row, last_row)."""

    first_pass: int
    last_pass: int
    first_row: int
    last_row: int


class Schedule:
    """The exposures of one fact set.

    `lengths_FT` are tokens by fact and template; a fact's passes take turns in the templates, its own number
    deciding where it begins, so that the counts of two templates differ by at most one. `dense` leaves no gaps between
    the exposures of a row.
    """

    def __init__(
        self,
        lengths_FT: np.ndarray,
        num_passes: int,
        num_rows: int,
        row_length: int,
        *,
        seed: int,
        label: str,
        dense: bool = False,
    ) -> None:
        self.lengths_FT = lengths_FT
        self.num_passes = num_passes
        self.num_rows = num_rows
        self.row_length = row_length
        self._key = (seed, label)
        self._dense = dense
        # Rows are read in order: the group last used serves the next row too, and a few serve replays.
        self._layout = lru_cache(maxsize=4)(self._lay_out)
        self._last_group = _Group(0, 0, 0, 0)

    @property
    def num_facts(self) -> int:
        return len(self.lengths_FT)

    def template_of(self, facts: np.ndarray, passes: np.ndarray) -> np.ndarray:
        return np.asarray((facts + passes) % self.lengths_FT.shape[1])

    def row(self, row: int) -> list[Placed]:
        """The exposures in a row, by offset."""
        if not self.num_passes or not self.num_facts or row >= self.num_rows:
            return []
        if not self._last_group.first_row <= row < self._last_group.last_row:
            self._last_group = self._group_of(row)
        return self._layout(self._last_group).get(row, [])

    def total_length(self) -> int:
        """Tokens of all exposures."""
        lengths, num_templates = self.lengths_FT, self.lengths_FT.shape[1]
        per_phase = [
            int(lengths[np.arange(self.num_facts), (np.arange(self.num_facts) + p) % num_templates].sum())
            for p in range(num_templates)
        ]
        full, rest = divmod(self.num_passes, num_templates)
        return int(full * sum(per_phase) + sum(per_phase[:rest]))

    def _group_of(self, row: int) -> _Group:
        size = _passes_per_group(self.num_facts)
        index = (row * self.num_passes // self.num_rows) // size
        group = self._group(index)
        while row < group.first_row:
            index -= 1
            group = self._group(index)
        while row >= group.last_row:
            index += 1
            group = self._group(index)
        return group

    def _group(self, index: int) -> _Group:
        return _group_at(index, self.num_facts, self.num_passes, self.num_rows)

    def _lay_out(self, group: _Group) -> dict[int, list[Placed]]:
        num_passes = group.last_pass - group.first_pass
        num_rows = group.last_row - group.first_row
        facts = np.tile(np.arange(self.num_facts), num_passes)
        passes = np.repeat(np.arange(group.first_pass, group.last_pass), self.num_facts)
        templates = self.template_of(facts, passes)
        lengths = self.lengths_FT[facts, templates]
        key = make_key(*self._key, group.first_pass)
        rows = (
            _sparse_rows(len(facts), num_rows, key) if num_rows >= len(facts) else _packed_rows(lengths, num_rows, key)
        )
        if num_rows >= len(facts):
            order = shuffled(make_key(key, "facts"), len(facts))
            rows = rows[np.argsort(order, kind="stable")]
        return self._place_in_rows(group.first_row, rows, facts, templates, lengths, key)

    def _place_in_rows(
        self, first_row: int, rows: np.ndarray, facts: np.ndarray, templates: np.ndarray, lengths: np.ndarray, key: int
    ) -> dict[int, list[Placed]]:
        """Order each row's exposures by a keyed shuffle and spread the row's free tokens before, between and after."""
        everything = np.arange(len(facts))
        order = np.lexsort((random_bits(make_key(key, "order"), everything), rows))
        free = self.row_length - np.bincount(rows, weights=lengths).astype(np.int64)[rows]
        if (free < 0).any():
            raise AssertionError("a row is overfull: check the dose against `ceiling` before building a schedule")
        gaps = np.zeros_like(free) if self._dense else random_below(make_key(key, "gaps"), everything, free + 1)
        # Sorted within each row, the gaps are what lies before each exposure in all.
        gaps = gaps[np.lexsort((gaps, rows))]
        layout: dict[int, list[Placed]] = {}
        used, last_row = 0, -1
        columns = (rows[order], lengths[order], facts[order], templates[order], gaps)
        for row, length, fact, template, gap in zip(*(column.tolist() for column in columns), strict=True):
            if row != last_row:
                used, last_row = 0, row
                placed = layout[first_row + row] = []
            placed.append(Placed(gap + used, length, fact, template))
            used += length
        return layout


def fits(lengths_FT: np.ndarray, num_passes: int, num_rows: int, row_length: int) -> bool:
    """Whether a schedule of so many passes packs into so many rows, each exposure whole."""
    num_facts, num_templates = lengths_FT.shape
    if not num_passes or not num_facts:
        return True
    # All groups but the last have equally many passes, and one of two numbers of rows: try each kind once.
    size = min(_passes_per_group(num_facts), num_passes)
    kinds: set[tuple[int, int, int]] = set()
    for passes in {size, num_passes % size or size}:
        for rows in (num_rows * passes // num_passes, -(-num_rows * passes // num_passes)):
            kinds.update((rows, passes, template) for template in range(num_templates))
    for rows, passes, first_template in kinds:
        facts = np.tile(np.arange(num_facts), passes)
        offsets = np.repeat(np.arange(first_template, first_template + passes), num_facts)
        lengths = lengths_FT[facts, (facts + offsets) % num_templates]
        if rows >= len(lengths):
            if len(lengths) and int(lengths.max()) > row_length:
                return False
        elif rows == 0 or int(lengths.sum()) > rows * row_length or _largest_load(lengths, rows) > row_length:
            return False
    return True


def ceiling(lengths_FT: np.ndarray, num_rows: int, row_length: int) -> int:
    """The largest number of passes that packs: the largest infusion frequency a stream of these rows can hold."""
    shortest_pass = int(lengths_FT.min(axis=1).sum())
    if not shortest_pass:
        raise ValueError("no facts to pack")
    low, high = 0, num_rows * row_length // shortest_pass + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(lengths_FT, middle, num_rows, row_length) else (low, middle)
    return low


def least_rows(lengths_FT: np.ndarray, num_passes: int, row_length: int) -> int:
    """The smallest number of rows found that a schedule packs into."""
    if not num_passes or not len(lengths_FT):
        return 0
    total = int(lengths_FT.sum(axis=0).max()) * num_passes
    low, high = 0, 2
    while not fits(lengths_FT, num_passes, high, row_length):
        if high * row_length > 4 * total + 4 * row_length:
            raise ValueError("a fact is longer than a row")
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(lengths_FT, num_passes, middle, row_length) else (middle, high)
    return high


def _passes_per_group(num_facts: int) -> int:
    return max(1, -(-_MIN_EXPOSURES_PER_GROUP // num_facts))


def _group_at(index: int, num_facts: int, num_passes: int, num_rows: int) -> _Group:
    size = _passes_per_group(num_facts)
    first, last = index * size, min((index + 1) * size, num_passes)
    return _Group(first, last, num_rows * first // num_passes, num_rows * last // num_passes)


def _sparse_rows(num_items: int, num_rows: int, key: int) -> np.ndarray:
    """More rows than exposures: each exposure somewhere in an equal share of the rows of its own."""
    edges = np.arange(num_items + 1) * num_rows // num_items
    rows: np.ndarray = edges[:-1] + random_below(key, np.arange(num_items), np.diff(edges))
    return rows


def _packed_rows(lengths: np.ndarray, num_rows: int, key: int) -> np.ndarray:
    """More exposures than rows: the longest first, each into the emptiest row (LPT), equals in keyed order."""
    order = np.lexsort((random_bits(make_key(key, "ties"), np.arange(len(lengths))), -lengths))
    ranks = shuffled(make_key(key, "rows"), num_rows).tolist()
    heap = [(0, rank) for rank in range(num_rows)]
    rows = np.empty(len(lengths), dtype=np.int64)
    for item, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        load, rank = heap[0]
        rows[item] = ranks[rank]
        heapq.heapreplace(heap, (load + length, rank))
    return rows


def _largest_load(lengths: np.ndarray, num_rows: int) -> int:
    heap = [0] * num_rows
    for length in sorted(lengths.tolist(), reverse=True):
        heapq.heapreplace(heap, heap[0] + length)
    return max(heap)
