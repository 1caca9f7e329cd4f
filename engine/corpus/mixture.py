"""The mixture: background text, prior facts in it, and infused facts over or on top of it, as a stream of rows.

Row r of a stream is a function of the run's settings and r alone. Three layers make it: background text by a keyed
permutation of the text's rows, one permutation an epoch; prior facts, a fixed schedule; and the infused facts. A prior
exposure that an infused stretch touches is left out whole, background text standing in its place: that dilution is
what `displace` studies, and with `fill = "neutral"` it is all that happens.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.corpus.background import Background
from engine.corpus.facts import Renderings
from engine.corpus.keyed import make_key, permuted
from engine.corpus.schedule import Placed, Schedule, least_rows
from engine.spec.runspec import RunSpec


class Exposure(NamedTuple):
    """A planned writing: fact set, fact and rendering (indices)."""

    fact_set: str
    fact: int
    rendering: int


class Row(NamedTuple):
    """One row: its token ids, and the exposures that lie in it."""

    tokens: np.ndarray
    exposures: list[Exposure]


class Mixture:
    """The token stream of one run.

    `num_rows` rows, of `context_length` loss-bearing tokens each but for the last of the background and, in `append`,
    those of exposures alone. Rows from `stage_two_row` on belong to the second stage.
    """

    def __init__(self, spec: RunSpec, background: Background, prior: Renderings, infused: Renderings) -> None:
        self.row_length = spec.training.context_length
        self.seed = spec.seed
        self._background = background
        self.num_text_rows = background.num_tokens // self.row_length
        self.neutral = spec.mixture.fill == "neutral"
        self._displaces = spec.mixture.kind == "displace"
        self._prior_tokens, self._infused_tokens = prior.tokens, infused.tokens
        self._prior_columns, self._infused_columns = prior.columns, infused.columns

        self.num_background_rows = -(-spec.num_tokens // self.row_length)
        self._last_row_length = spec.num_tokens - (self.num_background_rows - 1) * self.row_length
        full_rows = spec.num_tokens // self.row_length
        passes = planned_prior_exposures(spec.mixture.prior_rate, spec.num_tokens)
        self.prior = Schedule(prior.lengths_FT, passes, full_rows, self.row_length, seed=self.seed, label="prior")

        lengths = infused.lengths_FT[:, : spec.num_templates]
        rows = full_rows if self._displaces else least_rows(lengths, spec.frequency, self.row_length)
        self.infused = Schedule(
            lengths, spec.frequency, rows, self.row_length, seed=self.seed, label="infused", dense=not self._displaces
        )
        self.num_infused_rows = 0 if self._displaces else rows
        self.num_replay_rows = _num_replay_rows(spec, self.infused)
        self._tokens_on_top = tokens_on_top(spec, infused)
        self.num_rows = self.num_background_rows + self.num_infused_rows + self.num_replay_rows
        self.stage_two_row = self.num_background_rows if spec.stages else self.num_rows
        # Rows of exposures alone are spread evenly among these others: the background, or the second stage's replay.
        self._first_mixed_row = self.stage_two_row if spec.stages else 0

    @property
    def total_tokens(self) -> int:
        """Loss-bearing tokens of the whole stream."""
        background = (self.num_background_rows - 1) * self.row_length + self._last_row_length
        return background + self._tokens_on_top

    @property
    def background_epochs(self) -> float:
        return self.num_background_rows / self.num_text_rows

    def row(self, row: int) -> Row:
        """A row's tokens, int64, at most `row_length` of them, and the exposures that the schedule means there."""
        background_row, infused_row = self._locate(row)
        if infused_row is not None:
            return self._exposure_row(infused_row)
        assert background_row is not None
        tokens = self._text_row(background_row)
        infused = self.infused.row(background_row) if self._displaces else []
        prior = _untouched(self.prior.row(background_row), infused)
        _write(tokens, prior, self._prior_tokens)
        exposures = [Exposure("prior", p.fact, self._prior_columns[p.template]) for p in prior]
        if infused and not self.neutral:
            _write(tokens, infused, self._infused_tokens)
            exposures.extend(Exposure("infused", p.fact, self._infused_columns[p.template]) for p in infused)
        return Row(tokens, exposures)

    def _locate(self, row: int) -> tuple[int | None, int | None]:
        """(row of the background or None, row of the exposures or None), of which one is given."""
        if row < self._first_mixed_row or not self.num_infused_rows:
            return row, None
        row -= self._first_mixed_row
        num_others = self.num_rows - self._first_mixed_row - self.num_infused_rows
        # Evenly spread: exposure row number k lies where k · total / num_infused first passes a whole number.
        total = num_others + self.num_infused_rows
        before, after = row * self.num_infused_rows // total, (row + 1) * self.num_infused_rows // total
        if after > before:
            return None, before
        other = row - before
        if self._first_mixed_row:  # a replay: a row of the first stage again, chosen by a permutation of them
            return permuted(
                make_key(self.seed, "replay"), other % self.num_background_rows, self.num_background_rows
            ), None
        return other, None

    def _text_row(self, row: int) -> np.ndarray:
        epoch, place = divmod(row, self.num_text_rows)
        start = permuted(make_key(self.seed, "text", epoch), place, self.num_text_rows) * self.row_length
        length = self._last_row_length if row == self.num_background_rows - 1 else self.row_length
        return self._background.read(start, start + length).astype(np.int64)

    def _exposure_row(self, row: int) -> Row:
        placed = self.infused.row(row)
        if self.neutral:
            text = self._text_row(self.num_background_rows + row)
            return Row(text[: sum(p.length for p in placed)], [])
        tokens = np.concatenate([self._infused_tokens[p.fact][p.template] for p in placed])
        return Row(tokens, [Exposure("infused", p.fact, self._infused_columns[p.template]) for p in placed])


def _untouched(prior: list[Placed], infused: list[Placed]) -> list[Placed]:
    """The prior exposures that no infused stretch touches."""
    stretches = [(p.offset, p.offset + p.length) for p in infused]
    return [p for p in prior if all(p.offset + p.length <= start or p.offset >= end for start, end in stretches)]


def _write(tokens: np.ndarray, placed: list[Placed], renderings: list[list[np.ndarray]]) -> None:
    for p in placed:
        tokens[p.offset : p.offset + p.length] = renderings[p.fact][p.template]


def tokens_on_top(spec: RunSpec, infused: Renderings) -> int:
    """Tokens that a run trains on beside its D: none where exposures displace background, else theirs and replay."""
    if spec.mixture.kind == "displace" or not spec.frequency:
        return 0
    length = spec.training.context_length
    lengths = infused.lengths_FT[:, : spec.num_templates]
    schedule = Schedule(lengths, spec.frequency, 1, length, seed=spec.seed, label="infused", dense=True)
    return schedule.total_length() + _num_replay_rows(spec, schedule) * length


def _num_replay_rows(spec: RunSpec, infused: Schedule) -> int:
    if not spec.stages or not infused.num_passes:
        return 0
    share = spec.stages.replay_share
    return round(share / (1 - share) * infused.total_length() / infused.row_length)


def planned_prior_exposures(prior_rate: float, num_tokens: int) -> int:
    """How often each prior fact is written into D background tokens, before anything is infused."""
    return round(prior_rate * num_tokens / 1e6)
