"""Curves to braille: each character cell holds 2 × 4 dots. NumPy only.

By hand because no library draws 24 curves of 2,000 points with gaps, bands and error bars within a frame
(docs/decisions/5-own-table-and-plots.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_BRAILLE = 0x2800
_MIN_LOG2, _MAX_LOG2 = -1022.0, 1023.0  # of a float
_DECADE = float(np.log2(10))
_MOST_DECADES = 40
# Bit of each dot of a cell, by row and column (Unicode's order).
_BITS_YX = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint32)


class View(NamedTuple):
    """The part of the plane that is shown, in axis units (log2 of the values on a log axis)."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float


class Canvas:
    """`height` × `width` cells. A cell has one colour: that of the curve drawn there last; −1 where nothing is. Behind
    it, each half of a cell has the colour of the band that was filled there last."""

    def __init__(self, width: int, height: int, view: View) -> None:
        self.width, self.height, self.view = width, height, view
        self._dots = np.zeros((4 * height, 2 * width), dtype=bool)
        self.owner_HW = np.full((height, width), -1, dtype=np.int16)
        self.fill_HYW = np.full((height, 2, width), -1, dtype=np.int16)
        self._rows_H1 = np.arange(4 * height)[:, None]

    def line(self, x: np.ndarray, y: np.ndarray, colour: int) -> None:
        """Join the points by lines. `x` ascends; NaN in `y` is a gap. However many points there are, each column of
        dots shows the lowest and the highest of them."""
        finite = np.isfinite(y)
        if finite.all():
            stretches = [(x, y)]
        else:
            ends = np.flatnonzero(np.diff(np.concatenate(([0], finite.view(np.int8), [0]))))
            stretches = [(x[a:b], y[a:b]) for a, b in zip(ends[::2], ends[1::2], strict=True)]
        for xs, ys in stretches:
            spans = self._spans(xs, ys)
            if spans is not None:
                self._fill(*spans, colour)

    def fill(self, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: int) -> None:
        """Fill the area between two lines, by half cells, behind what else is drawn."""
        edges = self._between(x, low, high, np.arange(self.width) * 2 + 1.0)
        if edges is None:
            return
        top, bottom, inside = edges
        centres_H1 = (np.arange(2 * self.height) * 2 + 1.0)[:, None]
        mask = (centres_H1 >= top - 1) & (centres_H1 <= bottom + 1) & inside
        self.fill_HYW[mask.reshape(self.height, 2, self.width)] = colour

    def band(self, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: int) -> None:
        """Stipple the area between two lines, every fourth dot, below all else: for terminals of few colours."""
        edges = self._between(x, low, high, np.arange(2 * self.width) + 0.5)
        if edges is None:
            return
        top, bottom, inside = edges
        mask = (self._rows_H1 >= np.floor(top)) & (self._rows_H1 <= np.floor(bottom)) & inside
        mask &= (self._rows_H1 + 2 * (np.arange(2 * self.width) % 2)) % 4 == 0
        self._dots |= mask
        self.owner_HW[mask.reshape(self.height, 4, self.width, 2).any(axis=(1, 3))] = colour

    def _between(
        self, x: np.ndarray, low: np.ndarray, high: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Upper and lower row of dots at these columns of dots, and which of them lie within the area."""
        finite = np.isfinite(low) & np.isfinite(high)
        if finite.sum() < 2:
            return None
        ends = self._column(x[finite][[0, -1]])
        inside = (columns >= ends[0] - 0.5) & (columns <= ends[1] + 0.5)
        centres = self._x_of(columns)
        bottom = self._row(np.interp(centres, x[finite], low[finite]))
        return self._row(np.interp(centres, x[finite], high[finite])), bottom, inside

    def upright(self, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: int) -> None:
        """An upright line from `low` to `high` at each `x`; nothing where an end is NaN."""
        there = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
        columns = np.floor(self._column(x[there])).astype(int)
        tops, bottoms = np.floor(self._row(high[there])).astype(int), np.floor(self._row(low[there])).astype(int)
        for column, top, bottom in zip(columns.tolist(), tops.tolist(), bottoms.tolist(), strict=True):
            top, bottom = max(0, top), min(4 * self.height - 1, bottom)
            if 0 <= column < 2 * self.width and top <= bottom:
                self._dots[top : bottom + 1, column] = True
                self.owner_HW[top // 4 : bottom // 4 + 1, column // 2] = colour

    def cells(self, x: np.ndarray, y: np.ndarray) -> list[tuple[int, int]]:
        """(row, column) of the cells at these places, those outside the view left out."""
        there = np.isfinite(x) & np.isfinite(y)
        rows = np.floor(self._row(y[there]) / 4).astype(int)
        columns = np.floor(self._column(x[there]) / 2).astype(int)
        inside = (rows >= 0) & (rows < self.height) & (columns >= 0) & (columns < self.width)
        return list(zip(rows[inside].tolist(), columns[inside].tolist(), strict=True))

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """(row, column) of the cell at a place, or None outside the view."""
        found = self.cells(np.array([x]), np.array([y]))
        return found[0] if found else None

    def cells_of_text(self) -> np.ndarray:
        """The cells as code points [H, W]: braille where dots are, half blocks at the edges of bands, blanks."""
        blocks_HYWX = self._dots.reshape(self.height, 4, self.width, 2)
        codes_HW = np.einsum("hywx,yx->hw", blocks_HYWX, _BITS_YX, dtype=np.uint32)
        upper, lower = self.fill_HYW[:, 0] >= 0, self.fill_HYW[:, 1] >= 0
        edges_HW = np.where(upper & ~lower, ord("▀"), np.where(lower & ~upper, ord("▄"), ord(" ")))
        return np.where(codes_HW, codes_HW + _BRAILLE, edges_HW).astype(np.uint32)

    def text(self) -> list[str]:
        """The cells as lines."""
        return [row.tobytes().decode("utf-32-le") for row in self.cells_of_text().astype("<u4")]

    def _spans(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Columns of dots that a line crosses, and the first and last row it covers in each."""
        columns = self._column(x)
        first = max(0, int(np.floor(columns[0])))
        last = min(2 * self.width - 1, int(np.floor(columns[-1])))
        if last < first:
            return None
        rows = self._row(y)
        edges = np.arange(first, last + 2, dtype=np.float64)
        at_edges = np.interp(edges, columns, rows)
        low, high = np.minimum(at_edges[:-1], at_edges[1:]), np.maximum(at_edges[:-1], at_edges[1:])
        where = np.floor(columns).astype(np.int64) - first
        inside = (where >= 0) & (where < len(low))
        np.minimum.at(low, where[inside], rows[inside])
        np.maximum.at(high, where[inside], rows[inside])
        return np.arange(first, last + 1), low, high

    def _fill(self, columns: np.ndarray, low: np.ndarray, high: np.ndarray, colour: int) -> None:
        """Set the dots of these columns from the row of `low` to that of `high`."""
        last = 4 * self.height - 1
        tops, bottoms = np.floor(low).astype(np.int64), np.floor(high).astype(np.int64)
        inside = (bottoms >= 0) & (tops <= last)
        tops, bottoms = np.clip(tops[inside], 0, last), np.clip(bottoms[inside], 0, last)
        counts = bottoms - tops + 1
        before = np.cumsum(counts) - counts
        rows = np.arange(int(counts.sum())) + np.repeat(tops - before, counts)
        all_columns = np.repeat(columns[inside], counts)
        self._dots[rows, all_columns] = True
        self.owner_HW[rows // 4, all_columns // 2] = colour

    def _column(self, x: np.ndarray) -> np.ndarray:
        scale = (2 * self.width - 1) / (self.view.x_high - self.view.x_low)
        return (x - self.view.x_low) * scale + 0.5

    def _x_of(self, column: np.ndarray) -> np.ndarray:
        scale = (2 * self.width - 1) / (self.view.x_high - self.view.x_low)
        return (column - 0.5) / scale + self.view.x_low

    def _row(self, y: np.ndarray) -> np.ndarray:
        scale = (4 * self.height - 1) / (self.view.y_high - self.view.y_low)
        return (self.view.y_high - y) * scale + 0.5


def smoothed(y: np.ndarray, window: int) -> np.ndarray:
    """The running mean over `window` values, gaps left out."""
    finite = np.isfinite(y)
    sums = np.convolve(np.where(finite, y, 0.0), np.ones(window), mode="same")
    counts = np.convolve(finite.astype(float), np.ones(window), mode="same")
    return np.where(finite, sums / np.maximum(counts, 1), np.nan)


def linear_ticks(low: float, high: float, max_ticks: int) -> list[float]:
    """Round numbers between the limits: 1, 2 or 5 times a power of ten apart."""
    span = max(high - low, 1e-12)
    unit = 10.0 ** np.floor(np.log10(span / max(1, max_ticks)))
    step = next(unit * m for m in (1, 2, 5, 10, 20) if span / (unit * m) <= max_ticks)
    return [float(step * i) for i in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)]


def decade_ticks(low: float, high: float, times: Sequence[int]) -> list[float]:
    """Powers of ten between the limits (in log2 units), and so many times those; none where there are too many."""
    low, high = max(low, _MIN_LOG2), min(high, _MAX_LOG2)
    decades = range(int(np.floor(low / _DECADE)), int(np.ceil(high / _DECADE)) + 1)
    if len(decades) > _MOST_DECADES:
        return []
    places = [d * _DECADE + float(np.log2(m)) for d in decades for m in times]
    return [place for place in places if low - 1e-9 <= place <= high + 1e-9]


def minor_ticks(low: float, high: float) -> list[float]:
    """All multiples of powers of ten between the limits, in log2 units."""
    return decade_ticks(low, high, range(1, 10))


def log2_ticks(low: float, high: float, max_ticks: int) -> list[float]:
    """Powers of two between the limits (in log2 units), or quarters of an octave where fewer than two lie there.

    Only numbers that there are: a view zoomed out far enough reaches beyond them.
    """
    low, high = max(low, _MIN_LOG2), min(high, _MAX_LOG2)
    step = max(1, int(np.ceil((high - low) / max(1, max_ticks))))
    ticks = [float(t) for t in range(int(np.ceil(low)), int(np.floor(high)) + 1, step)]
    if len(ticks) < 2:
        quarters = range(int(np.ceil(4 * low)), int(np.floor(4 * high)) + 1)
        ticks = [q / 4 for q in quarters][:: max(1, -(-len(quarters) // max(1, max_ticks)))]
    return ticks
