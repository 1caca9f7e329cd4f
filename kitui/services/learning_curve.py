"""One run over its tokens: its metrics followed line by line, as arrays that plots draw as they are."""

from __future__ import annotations

import time
from array import array
from pathlib import Path
from typing import NamedTuple

from engine.records.metrics import (
    AnyRecord,
    Attempts,
    EventRecord,
    MetricsTail,
    RetentionRecord,
    StepRecord,
    overall_retention,
)
from kitui.services.format import retention

_LOG_LINES = 200
_NAN = float("nan")


class LearningCurve(NamedTuple):
    """Retention by fact set (with `overall`) and loss over tokens so far; gaps are NaN."""

    tokens: array[float]
    retention: dict[str, array[float]]
    loss_tokens: array[float]
    loss: array[float]
    log: tuple[str, ...]
    """Events and scores as lines of text; the newest step last."""
    num_tokens: int
    tokens_per_s: float | None

    def last(self, fact_set: str) -> float | None:
        """The newest score of a fact set."""
        values = self.retention.get(fact_set)
        return values[-1] if values and values[-1] == values[-1] else None

    @property
    def last_loss(self) -> float | None:
        return self.loss[-1] if self.loss and self.loss[-1] == self.loss[-1] else None


NO_CURVE = LearningCurve(array("d"), {}, array("d"), array("d"), (), 0, None)


class CurveTail:
    """Follows a run's metrics. A resumed run goes back to its checkpoint: what it does again replaces what it did."""

    def __init__(self, path: Path) -> None:
        self._tail = MetricsTail(path)
        self._attempts = Attempts()
        self._score_steps: list[int] = []
        self._tokens = array("d")
        self._retention: dict[str, array[float]] = {}
        self._loss_steps: list[int] = []
        self._loss_tokens, self._loss = array("d"), array("d")
        self._log: list[tuple[int, str]] = []
        self._last_step: StepRecord | None = None
        self._curve = NO_CURVE

    def read(self) -> LearningCurve:
        """The curve as it stands; the same object while nothing is new."""
        fresh = False
        while new := self._tail.read_new():
            fresh = True
            for record in new:
                self._take(record)
        if fresh:
            last = self._last_step
            lines = [line for _, line in self._log[-_LOG_LINES:]] + ([record_line(last)] if last else [])
            ends = [*self._tokens[-1:], *self._loss_tokens[-1:]]
            self._curve = LearningCurve(
                self._tokens[:],
                {name: values[:] for name, values in self._retention.items()},
                self._loss_tokens[:],
                self._loss[:],
                tuple(lines),
                int(max(ends, default=0)),
                last.tokens_per_s if last else None,
            )
        return self._curve

    def _take(self, record: AnyRecord) -> None:
        void_after = self._attempts.void_after(record)
        if void_after is not None:
            self._drop_losses(void_after + 1)
            self._drop_scores(void_after + 1)
        if isinstance(record, StepRecord):
            self._drop_losses(record.step)
            self._loss_steps.append(record.step)
            self._loss_tokens.append(record.num_tokens)
            self._loss.append(_NAN if record.loss is None else record.loss)
            self._last_step = record
            return
        if isinstance(record, EventRecord):
            self._log.append((record.step, record_line(record)))
            return
        self._drop_scores(record.step)
        self._score_steps.append(record.step)
        self._tokens.append(record.num_tokens)
        scores = {name: score.retention for name, score in record.sets.items()}
        overall = overall_retention(record.sets)
        if overall is not None:
            scores["overall"] = overall
        for name in scores.keys() - self._retention.keys():
            self._retention[name] = array("d", [_NAN]) * (len(self._tokens) - 1)
        for name, values in self._retention.items():
            values.append(scores.get(name, _NAN))
        self._log.append((record.step, record_line(record)))

    def _drop_losses(self, from_step: int) -> None:
        while self._loss_steps and self._loss_steps[-1] >= from_step:
            self._loss_steps.pop()
            self._loss_tokens.pop()
            self._loss.pop()

    def _drop_scores(self, from_step: int) -> None:
        while self._score_steps and self._score_steps[-1] >= from_step:
            self._score_steps.pop()
            for values in (self._tokens, *self._retention.values()):
                values.pop()


def record_line(record: AnyRecord) -> str:
    """One record of a run's metrics as a line of text."""
    clock = time.strftime("%H:%M:%S", time.localtime(record.time_s))
    place = f"{clock}  step {record.step:>6,}"
    if isinstance(record, StepRecord):
        loss = "not finite" if record.loss is None else f"{record.loss:.4f}"
        return f"{place}  loss {loss}  lr {record.learning_rate:.2e}  {record.tokens_per_s:,.0f} tokens/s"
    if isinstance(record, RetentionRecord):
        overall = overall_retention(record.sets)
        scores = "  ".join(f"{name} {retention(s.retention)}" for name, s in record.sets.items())
        return f"{place}  retention: overall {retention(overall)}  {scores}"
    return f"{place}  {record.name}: {record.text}" if record.text else f"{place}  {record.name}"
