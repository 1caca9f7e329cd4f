"""The training loop of one run: from its spec to its metrics, checkpoints and result.

Everything that the numbers depend on is a function of the spec and the step, or lies in the checkpoint. A run that was
killed anywhere and resumed therefore gives the same losses and scores, on a CPU bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from engine.corpus.audit import ExposureAudit
from engine.corpus.background import Background
from engine.corpus.facts import Question, block_questions, infused_renderings, prior_renderings
from engine.corpus.mixture import Mixture
from engine.corpus.tokenizer import Tokenizer
from engine.errors import DataError
from engine.records.metrics import (
    CHECKPOINT,
    EventRecord,
    Exposures,
    MetricsWriter,
    RetentionRecord,
    SetScore,
    StepRecord,
)
from engine.records.results import QuestionOutcomes
from engine.records.workspace import RunFolder
from engine.spec import fact_sets
from engine.spec.questions import KINDS
from engine.spec.questions.base import Block
from engine.spec.runspec import FactSets, RunSpec
from engine.training.checkpoint import drop_checkpoints, load_checkpoint, save_checkpoint, sound_checkpoint
from engine.training.model import decoder_of, model_of, tensors
from engine.training.optim import learning_rate_at, make_optimizer
from engine.training.ranks import ALONE, Ranks, divide, whole, without_exchange
from engine.training.scoring import answer, mean_loss, score_of

_DTYPES = {"fp64": torch.float64, "fp32": torch.float32, "bf16": torch.float32}


class Ending(NamedTuple):
    """How training ended: `done`, `diverged` or `interrupted`; the last two leave what there was."""

    status: str
    num_steps: int
    num_tokens: int
    sets: dict[str, SetScore]
    background_loss: float | None
    exposures: dict[str, Exposures]
    exposures_as_planned: bool
    questions: dict[str, QuestionOutcomes]
    num_params: int
    num_params_total: int
    background_epochs: float
    train_s: float
    trained_tokens: int
    """Tokens and seconds of this attempt's training steps."""


class StepRows(NamedTuple):
    """The rows of one step: those that this rank trains on, and how many rows and tokens all ranks have together."""

    own: list[np.ndarray]
    num_rows: int
    num_tokens: int


class Trainer:
    """One run's parts and its progress. `train` is the loop; the methods below it are its steps."""

    def __init__(
        self,
        folder: RunFolder,
        spec: RunSpec,
        facts: FactSets,
        tokenizer: Tokenizer,
        background: Background,
        *,
        device: torch.device,
        attempt: int,
        writer: MetricsWriter,
        ranks: Ranks = ALONE,
    ) -> None:
        self.folder, self.spec, self.device, self.attempt, self.writer = folder, spec, device, attempt, writer
        self.ranks = ranks
        self.bos_id = tokenizer.bos_id
        self.mixture = Mixture(
            spec,
            background,
            prior_renderings(facts, spec, tokenizer),
            infused_renderings(facts, spec.num_templates, tokenizer, spec.training.context_length),
        )
        self.audit = ExposureAudit(facts, tokenizer, spec.training.context_length)
        self.planned = {name: np.zeros_like(counts) for name, counts in self.audit.counts.items()}
        self.questions: dict[str, tuple[list[Block], list[Question]]] = {}
        for name in fact_sets.ASKED:
            blocks, questions = block_questions(facts, name, spec.evaluation, tokenizer)
            if questions:
                self.questions[name] = (blocks, questions)
        self.heldout = background.heldout

        training = spec.training
        longest = max(len(q.context) + max(map(len, q.choices)) for _, qs in self.questions.values() for q in qs)
        if longest > training.context_length:
            raise DataError(
                f"a question of {longest} tokens is longer than a row.",
                key="training.context_length",
                value=training.context_length,
                mend="Use a longer context, or shorter templates.",
            )
        model = model_of(spec, tokenizer.vocab_size)
        model.to(device, _DTYPES[training.precision])
        self.decoder = decoder_of(model, training.context_length)
        self.decoder.train()
        self.called = divide(self.decoder, ranks, spec.data_parallel, device)
        self.parameters = list(self.decoder.parameters())  # walking the modules at each step takes a while
        self.optimizer = make_optimizer(self.decoder, training)

        batch = training.batch_size
        self.stage_one_steps = -(-self.mixture.stage_two_row // batch)
        stage_two_rows = self.mixture.num_rows - self.mixture.stage_two_row
        self.num_steps = self.stage_one_steps + -(-stage_two_rows // batch)
        self.log_every = max(1, min(20, self.num_steps // 200))
        self.step = 0
        self.num_tokens = 0
        # Since the last record: this rank's summed loss, and all tokens of the steps and the seconds they took.
        self.loss_sum, self.loss_tokens, self.window_s = 0.0, 0, 0.0
        self.train_s, self.trained_tokens = 0.0, 0
        self._unaudited: list[np.ndarray] = []
        self._saved_at_end = False

    def train(self, should_stop: Callable[[], bool]) -> Ending:
        """Train from the last checkpoint, or from the start, to the end, a divergence or a request to stop."""
        self._resume()
        last_checkpoint = time.monotonic()
        while self.step < self.num_steps:
            started = time.perf_counter()
            rows = self._rows_of(self.step)
            loss, gradient_norm = self._train_step(rows)
            tokens_before = self.num_tokens
            self.step += 1
            self.num_tokens += rows.num_tokens
            self.loss_sum = self.loss_sum + loss
            self.loss_tokens += rows.num_tokens
            self._unaudited.extend(rows.own)
            if self.step % self.log_every == 0 or self.step == self.num_steps:
                loss, norm = self._window_loss(), float(whole(gradient_norm))  # waits for the device
                self.window_s += time.perf_counter() - started
                self._log_step(loss, norm)
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    return self._diverged(loss, norm)
            else:
                self.window_s += time.perf_counter() - started
            self._audit()
            scoring, unfinished = self._scoring_due(tokens_before), self.step < self.num_steps
            overdue = time.monotonic() - last_checkpoint >= self.spec.checkpoint_every_s
            stopping, saving = self.ranks.any(unfinished and should_stop(), unfinished and overdue)
            if (scoring or stopping or saving) and not math.isfinite(self._window_loss()):
                return self._diverged(self._window_loss(), float(whole(gradient_norm)))
            if scoring:
                self._score()
            if stopping:
                self._checkpoint(final=False)
                self._event("interrupted", f"stopped after step {self.step} of {self.num_steps}, checkpoint written")
                return self._ending("interrupted", {}, None)
            if saving:
                self._checkpoint(final=False)
                last_checkpoint = time.monotonic()
        record, outcomes = self._score()
        self._checkpoint(final=True)
        return self._ending("done", outcomes, record)

    def _window_loss(self) -> float:
        """Mean loss since the last record; 0 right after it."""
        return self.ranks.sum(float(self.loss_sum)) / max(1, self.loss_tokens)

    def _diverged(self, loss: float, gradient_norm: float) -> Ending:
        self._audit(force=True)
        self._event("diverged", f"loss {loss}, gradient norm {gradient_norm}")
        return self._ending("diverged", {}, None)

    def _rows_of(self, step: int) -> StepRows:
        """The next batch_size rows of the step's stage, fewer at its end, dealt out to the ranks."""
        first, end = step * self.spec.training.batch_size, self.mixture.stage_two_row
        if step >= self.stage_one_steps:
            first = end + (step - self.stage_one_steps) * self.spec.training.batch_size
            end = self.mixture.num_rows
        rows = [self.mixture.row(r) for r in range(first, min(first + self.spec.training.batch_size, end))]
        own = rows[self.ranks.rank :: self.ranks.world_size]
        for row in own:
            for exposure in row.exposures:
                self.planned[exposure.fact_set][exposure.fact, exposure.rendering] += 1
        return StepRows([row.tokens for row in own], len(rows), sum(len(row.tokens) for row in rows))

    def _train_step(self, rows: StepRows) -> tuple[Any, Any]:
        """One optimizer step; the summed loss of this rank's tokens and the whole gradient's norm before clipping."""
        training = self.spec.training
        total: Any = 0.0
        pieces = self._pieces(rows)
        for number, piece in enumerate(pieces, start=1):
            inputs_BL, targets_BL = tensors(piece, self.bos_id, self.device)
            padded = targets_BL.numel() != sum(map(len, piece))
            with nullcontext() if number == len(pieces) else without_exchange(self.called):
                with self._autocast():
                    summed = self.called(inputs_BL, targets_BL, padded=padded)
                # DDP and FSDP take the mean over the ranks; the sum is meant.
                (summed / (rows.num_tokens / self.ranks.world_size)).backward()
            total = total + summed.detach()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, training.gradient_clip, foreach=True)
        rate = learning_rate_at(
            self.step,
            peak=self.spec.learning_rate,
            num_steps=self.num_steps,
            settings=training,
            stages=self.spec.stages,
            stage_one_steps=self.stage_one_steps,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return (total.item() if self.device.type == "cpu" else total), norm

    def _pieces(self, rows: StepRows) -> list[list[np.ndarray]]:
        """This rank's rows by micro-batch: as many on all ranks, the last of them empty on some."""
        most = -(-rows.num_rows // self.ranks.world_size)
        size = self.spec.micro_batch_size or most
        return [rows.own[start : start + size] for start in range(0, most, size)]

    def _autocast(self) -> Any:
        enabled = self.spec.training.precision == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    def _log_step(self, loss: float, gradient_norm: float) -> None:
        self.train_s += self.window_s
        self.trained_tokens += self.loss_tokens
        self.writer.write(
            StepRecord(
                attempt=self.attempt,
                step=self.step,
                num_tokens=self.num_tokens,
                loss=loss if math.isfinite(loss) else None,
                learning_rate=self.optimizer.param_groups[0]["lr"],
                gradient_norm=gradient_norm if math.isfinite(gradient_norm) else None,
                tokens_per_s=self.loss_tokens / self.window_s,
            )
        )
        self.loss_sum, self.loss_tokens, self.window_s = 0.0, 0, 0.0

    def _event(self, name: str, text: str = "") -> None:
        self.writer.write(EventRecord(attempt=self.attempt, step=self.step, name=name, text=text))

    def _scoring_due(self, tokens_before: int) -> bool:
        every = self.spec.evaluation.every_tokens
        return every is not None and self.num_tokens // every > tokens_before // every and self.step < self.num_steps

    def _score(self) -> tuple[RetentionRecord, dict[str, QuestionOutcomes]]:
        """Ask all questions now and record the answers."""
        self._audit(force=True)
        scores, outcomes = {}, {}
        for name, (blocks, questions) in self.questions.items():
            answers = answer(self.decoder, questions, self.bos_id, self.ranks)
            scores[name], outcomes[name] = score_of(questions, answers, KINDS[self.spec.evaluation.kind], blocks)
        background_loss = self._background_loss()
        record = RetentionRecord(
            attempt=self.attempt,
            step=self.step,
            num_tokens=self.num_tokens,
            evaluation_id=self.spec.evaluation_id,
            sets=scores,
            background_loss=background_loss,
            exposures=self._exposures(),
        )
        self.writer.write(record)
        return record, outcomes

    def _background_loss(self) -> float | None:
        """Mean loss in nats over the held-out background, in rows like those of training; None without any."""
        length = self.spec.training.context_length
        rows = [np.asarray(self.heldout[i : i + length], dtype=np.int64) for i in range(0, len(self.heldout), length)]
        batches = list(_split(rows, max(1, 16_384 // length)))
        return mean_loss(self.decoder, batches, self.bos_id, self.ranks) if rows else None

    def _audit(self, *, force: bool = False) -> None:
        """Count exposures in the rows trained on, some hundred rows at a time."""
        if force or len(self._unaudited) >= 512:
            self.audit.count(self._unaudited)
            self._unaudited.clear()

    def _counts(self) -> dict[str, np.ndarray]:
        """Exposures so far by fact and rendering, over all ranks: `found.<set>` by the audit, `planned.<set>`."""
        counted = {f"found.{name}": counts for name, counts in self.audit.counts.items()}
        return self.ranks.sum_arrays(counted | {f"planned.{name}": counts for name, counts in self.planned.items()})

    def _exposures(self) -> dict[str, Exposures]:
        summary, counts = {}, self._counts()
        for name in fact_sets.DRAWN:
            found = counts[f"found.{name}"].sum(axis=1)
            if len(found):
                summary[name] = Exposures(
                    planned_mean=float(counts[f"planned.{name}"].sum(axis=1).mean()),
                    mean=float(found.mean()),
                    minimum=int(found.min()),
                    maximum=int(found.max()),
                )
        return summary

    def _checkpoint(self, *, final: bool) -> None:
        """Save the state, or at the end what is to be kept of it; a full disk is reported, and training goes on."""
        if final and self.spec.keep_weights == "none":
            if self.ranks.is_first:
                drop_checkpoints(self.folder)
            return
        if final and self._saved_at_end:  # scored again: the weights are there
            return
        self._audit(force=True)
        progress = {
            "step": self.step,
            "num_tokens": self.num_tokens,
            "loss_sum": self.ranks.sum(float(self.loss_sum)),
            "loss_tokens": self.loss_tokens,
        }
        optimizer = None if final else self.optimizer
        keep_older, counts = self.spec.keep_weights == "all", self._counts()
        try:
            save_checkpoint(
                self.folder, self.step, self.decoder, optimizer, progress, counts,
                keep_older=keep_older, ranks=self.ranks,
            )  # fmt: skip
        except OSError as error:
            self._event("checkpoint failed", str(error))
        else:
            self._event(CHECKPOINT)

    def _resume(self) -> None:
        path, faults = sound_checkpoint(self.folder, self.num_steps) if self.ranks.is_first else (None, [])
        step = self.ranks.first_says(int(path.name) if path is not None else -1)  # another node may see it later
        if self.spec.only_score and step != self.num_steps:  # said before any record: one makes earlier ones void
            what = "its weights are gone, damaged or not those of its end: there is nothing to score."
            raise DataError(what, where=str(self.folder.root), mend="It keeps the scores that it has.")
        if step < 0:
            self._event("started", f"{self.num_steps} steps, {self.mixture.total_tokens} tokens")
        else:
            self._take_state(self.folder.checkpoints / str(step))
            self._event("resumed", f"after step {self.step} of {self.num_steps}")
        for fault in faults:  # said after the step is: an attempt's first record says what of earlier ones is void
            self._event("checkpoint damaged", fault)

    def _take_state(self, path: Path) -> None:
        progress, counts = load_checkpoint(path, self.decoder, self.optimizer, self.ranks)
        self._saved_at_end = progress["step"] == self.num_steps
        self.step, self.num_tokens, self.loss_tokens = (progress[k] for k in ("step", "num_tokens", "loss_tokens"))
        if self.ranks.is_first:  # sums over all ranks: one of them goes on from there
            self.loss_sum = progress["loss_sum"]
            for name in fact_sets.DRAWN:
                self.audit.counts[name][:] = counts[f"found.{name}"]
                self.planned[name][:] = counts[f"planned.{name}"]

    def _ending(self, status: str, outcomes: dict[str, QuestionOutcomes], record: RetentionRecord | None) -> Ending:
        counts = self._counts()
        return Ending(
            status=status,
            num_steps=self.step,
            num_tokens=self.num_tokens,
            sets=record.sets if record else {},
            background_loss=record.background_loss if record else None,
            exposures=self._exposures(),
            exposures_as_planned=all(
                np.array_equal(counts[f"found.{name}"], counts[f"planned.{name}"]) for name in fact_sets.DRAWN
            ),
            questions=outcomes,
            num_params=self.spec.model.num_params,
            num_params_total=sum(p.numel() for p in self.parameters),
            background_epochs=self.mixture.background_epochs,
            train_s=self.train_s,
            trained_tokens=self.trained_tokens,
        )


def _split(rows: list[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
