"""`metrics.jsonl`: what a run reports while it trains. A flushed JSON object a line, append-only, tailed by offset."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.records.record import Record, encoded
from engine.spec import fact_sets


class SetScore(Record, frozen=True, kw_only=True, omit_defaults=True):
    """How one fact set was answered."""

    num_questions: int
    num_choices: int | float
    """One over which is the share right by chance: of each question, or the harmonic mean where they differ; where free
    answers are asked for, so many that there is no chance."""
    correct: int
    """Questions whose right answer has the largest summed log-probability."""
    correct_norm: int
    """The same after division by the answer's length in characters."""
    mean_logprob: float
    """Mean natural log-probability of the right answer."""
    mean_reciprocal_rank: float | None = None
    """Of the right answer among the choices, 1 where it is the likeliest."""
    template_sd: float | None = None
    """Of several templates, the standard deviation between them of the share answered right."""

    @property
    def accuracy(self) -> float:
        return self.correct / self.num_questions

    @property
    def retention(self) -> float:
        return retention_of(self.accuracy, self.num_choices)


def retention_of(accuracy: float, num_choices: float) -> float:
    """R: accuracy rescaled so that chance is 0 and perfection 1; negative below chance."""
    chance = 1.0 / num_choices
    return (accuracy - chance) / (1.0 - chance) if chance < 1 else 0.0


def overall_retention(sets: dict[str, SetScore]) -> float | None:
    """The plain mean of infused and prior retention; of the infused alone where there are no prior facts."""
    parts = [sets[name].retention for name in fact_sets.PARTS_OF_OVERALL if name in sets]
    return sum(parts) / len(parts) if fact_sets.INFUSED.name in sets else None


class Exposures(Record, frozen=True, kw_only=True):
    """How often the facts of a set were written into what was trained on so far, counted from its tokens."""

    planned_mean: float
    mean: float
    minimum: int
    maximum: int


class StepRecord(Record, frozen=True, kw_only=True, tag_field="kind", tag="step"):
    """Some steps of training, until and with `step`."""

    attempt: int
    step: int
    num_tokens: int
    loss: float | None
    """Mean cross-entropy over the steps since the last record, in nats; None where it is not finite."""
    learning_rate: float
    gradient_norm: float | None
    tokens_per_s: float
    time_s: float = msgspec.field(default_factory=time.time)


class RetentionRecord(Record, frozen=True, kw_only=True, tag_field="kind", tag="retention"):
    """All fact sets scored after `step`."""

    attempt: int
    step: int
    num_tokens: int
    evaluation_id: str
    sets: dict[str, SetScore]
    background_loss: float | None
    exposures: dict[str, Exposures]
    time_s: float = msgspec.field(default_factory=time.time)


class EventRecord(Record, frozen=True, kw_only=True, tag_field="kind", tag="event"):
    """Something worth knowing that happened after `step`: started, resumed, a checkpoint that failed."""

    attempt: int
    step: int
    name: str
    text: str = ""
    time_s: float = msgspec.field(default_factory=time.time)


CHECKPOINT = "checkpoint"
"""The event of a checkpoint that was written."""
AnyRecord = StepRecord | RetentionRecord | EventRecord
_DECODER = msgspec.json.Decoder(AnyRecord)


class MetricsWriter:
    """Appends records. A line that a killed attempt left unfinished is ended first, so that it spoils no other."""

    def __init__(self, path: Path) -> None:
        self._handle = path.open("ab")
        if self._handle.tell() > 0:
            with path.open("rb") as existing:
                existing.seek(-1, os.SEEK_END)
                if existing.read(1) != b"\n":
                    self._handle.write(b"\n")

    def write(self, record: AnyRecord) -> None:
        self._handle.write(encoded(record) + b"\n")
        self._handle.flush()

    def close(self) -> None:
        self._handle.close()


class MetricsTail:
    """Reads a metrics file from where it last stopped. A missing file, a torn last line and a torn line in the
    middle (of a killed attempt) are all ordinary."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.num_unreadable = 0

    def read_new(self, max_bytes: int = 16 * 2**20) -> list[AnyRecord]:
        """Records of the complete lines added since the last call, at most about `max_bytes` of them."""
        try:
            size = os.stat(self.path).st_size
            if size < self.offset:  # another file: the run was deleted, and is trained anew
                self.offset = 0
            if size <= self.offset:
                return []
            with self.path.open("rb") as handle:
                handle.seek(self.offset)
                chunk = handle.read(max_bytes)
        except FileNotFoundError:
            return []
        end = chunk.rfind(b"\n") + 1
        self.offset += end
        records, num_unreadable = parse_lines(chunk[:end].split(b"\n"))
        self.num_unreadable += num_unreadable
        return records


def parse_lines(lines: Iterable[bytes]) -> tuple[list[AnyRecord], int]:
    """The records in these lines, and how many lines hold something else."""
    records, num_unreadable = [], 0
    for line in lines:
        if line.strip():
            try:
                records.append(_DECODER.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                num_unreadable += 1
    return records, num_unreadable


class Attempts:
    """Decides which records of a run count: a resumed attempt goes back to its checkpoint, and what earlier attempts
    did after that is void. Records are given in the order of the file."""

    def __init__(self) -> None:
        self._current = 0

    def void_after(self, record: AnyRecord) -> int | None:
        """The step after which nothing recorded before counts any more, if this record begins another attempt."""
        if record.attempt == self._current:
            return None
        self._current = record.attempt
        return record.step


def read_metrics(path: Path) -> list[AnyRecord]:
    """All records that count so far."""
    tail = MetricsTail(path)
    records: list[AnyRecord] = []
    while new := tail.read_new():
        records.extend(new)
    return records_that_count(records)


def wrote_checkpoint(path: Path, attempt: int) -> bool:
    """Whether an attempt got so far as to write a checkpoint: another one goes on from there."""
    events = (record for record in read_metrics(path) if isinstance(record, EventRecord))
    return any(event.attempt == attempt and event.name == CHECKPOINT for event in events)


def records_that_count(records: Iterable[AnyRecord]) -> list[AnyRecord]:
    """Without what a later attempt has made void, and of each step the last record. Events are a history: all stay."""
    attempts = Attempts()
    kept: dict[tuple[object, ...], AnyRecord] = {}
    for record in records:
        void_after = attempts.void_after(record)
        if void_after is not None:
            kept = {key: old for key, old in kept.items() if isinstance(old, EventRecord) or old.step <= void_after}
        # No event replaces another; nor do scores by other questions.
        key: tuple[object, ...] = (type(record), record.step)
        if isinstance(record, EventRecord):
            key = (EventRecord, record.step, record.attempt, record.name)
        elif isinstance(record, RetentionRecord):
            key = (RetentionRecord, record.step, record.evaluation_id)
        kept.pop(key, None)
        kept[key] = record
    return list(kept.values())
