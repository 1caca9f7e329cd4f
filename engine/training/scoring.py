"""Scoring: which answer a model gives to each multiple-choice question, as lm-evaluation-harness scores it.

A choice's score is the sum of the log-probabilities of its tokens after the question; `acc` takes the largest sum,
`acc_norm` the largest sum divided by the answer's characters (lm-evaluation-harness v0.4, `multiple_choice`). A free
answer is right where one of those that are right is what greedy decoding says (its `is_greedy`).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from engine.corpus.facts import Question
from engine.records.metrics import SetScore
from engine.records.results import QuestionOutcomes
from engine.spec.questions.base import Block, QuestionKind
from engine.training.decoder import Decoder
from engine.training.model import tensors
from engine.training.ranks import ALONE, Ranks, put_back

# Tokens a forward pass of scoring, padding included.
_BATCH_TOKENS = 16_384


class Answers(NamedTuple):
    """`logprobs_QK[q][k]`: summed log-probability of choice k of question q, minus infinity where a question has fewer
    choices than another; `greedy_QK`: whether each of its tokens is the likeliest one."""

    logprobs_QK: np.ndarray
    greedy_QK: np.ndarray

    @property
    def chosen_Q(self) -> np.ndarray:
        """The likeliest choice."""
        chosen_Q: np.ndarray = self.logprobs_QK.argmax(axis=1)
        return chosen_Q


@torch.no_grad()
def answer(decoder: Decoder, questions: Sequence[Question], bos_id: int, ranks: Ranks = ALONE) -> Answers:
    """Score one fact set's questions in fp32. Shapes: Q questions, K choices.

    Each different input is run once: choices of one token share it. Inputs are batched by length and padded on the
    right, and the output layer is applied only where an answer is predicted. Of several ranks each takes some of the
    batches.
    """
    logprobs_QK = np.zeros((len(questions), max(len(question.choices) for question in questions)))
    misses_QK = np.zeros_like(logprobs_QK)
    # input tokens -> the (question, choice, first position, answer tokens) that are read off it
    wanted: dict[tuple[int, ...], list[tuple[int, int, int, list[int]]]] = {}
    for q, question in enumerate(questions):
        for k, choice in enumerate(question.choices):
            key = (bos_id, *question.context, *choice[:-1])
            wanted.setdefault(key, []).append((q, k, len(question.context), choice))
    device = decoder.device
    of_others: list[tuple[int, ...]] = [(bos_id,)]
    for batch in ranks.own(_by_length(list(wanted)), filled_with=of_others):
        width = max(len(ids) for ids in batch)
        padded = [[*ids, *[bos_id] * (width - len(ids))] for ids in batch]
        hidden_BLD = decoder(torch.tensor(padded, device=device))
        rows: list[int] = []
        positions: list[int] = []
        targets: list[int] = []
        owners: list[tuple[int, int]] = []
        for row, ids in enumerate(batch):
            for q, k, first, choice in wanted.get(ids, ()):
                rows.extend([row] * len(choice))
                positions.extend(range(first, first + len(choice)))
                targets.extend(choice)
                owners.extend([(q, k)] * len(choice))
        if not targets:  # another rank's turn: the forward pass was for its sake
            continue
        logits_TV = decoder.logits(hidden_BLD[rows, positions])
        logits_TV = logits_TV.to(torch.promote_types(logits_TV.dtype, torch.float32))
        target_T1 = torch.tensor(targets, device=device)[:, None]
        values = (logits_TV.gather(1, target_T1)[:, 0] - torch.logsumexp(logits_TV, dim=1)).tolist()
        misses = (logits_TV.argmax(dim=1) != target_T1[:, 0]).tolist()
        for (q, k), value, miss in zip(owners, values, misses, strict=True):
            logprobs_QK[q, k] += value
            misses_QK[q, k] += miss
    put_back(decoder)
    whole = ranks.sum_arrays({"logprobs": logprobs_QK, "misses": misses_QK})
    exists_QK = np.arange(logprobs_QK.shape[1]) < np.array([[len(question.choices)] for question in questions])
    return Answers(np.where(exists_QK, whole["logprobs"], -np.inf), (whole["misses"] == 0) & exists_QK)


@torch.no_grad()
def mean_loss(decoder: Decoder, rows: Sequence[Sequence[np.ndarray]], bos_id: int, ranks: Ranks = ALONE) -> float:
    """The mean loss in nats over all tokens of some batches of rows; each rank takes some of the batches."""
    total = 0.0
    for batch in ranks.own(rows, filled_with=[]):
        inputs_BL, targets_BL = tensors(batch, bos_id, decoder.device)
        total += float(decoder(inputs_BL, targets_BL))
    put_back(decoder)
    return ranks.sum(total) / sum(len(row) for batch in rows for row in batch)


def score_of(
    questions: Sequence[Question], answers: Answers, kind: QuestionKind, blocks: Sequence[Block]
) -> tuple[SetScore, QuestionOutcomes]:
    """How a set was answered, and the answers taken, block by block, as a result keeps them. Of a free answer, 0 is a
    right one and 1 is not."""
    right_Q = np.array([question.answer for question in questions])
    chars_QK = np.ones(answers.logprobs_QK.shape)
    for q, question in enumerate(questions):
        chars_QK[q, : len(question.choices)] = question.choice_chars
    chosen_Q, chosen_norm_Q = answers.chosen_Q, (answers.logprobs_QK / chars_QK).argmax(axis=1)
    if kind.is_free:
        chosen_Q = chosen_norm_Q = np.where(answers.greedy_QK.any(axis=1), 0, 1)
    of_right_Q = answers.logprobs_QK[np.arange(len(questions)), right_Q]
    is_right_Q = chosen_Q == right_Q
    score = SetScore(
        num_questions=len(questions),
        num_choices=kind.num_choices(blocks),
        correct=int(is_right_Q.sum()),
        correct_norm=int((chosen_norm_Q == right_Q).sum()),
        mean_logprob=float(of_right_Q.mean()),
        mean_reciprocal_rank=float((1 / (answers.logprobs_QK >= of_right_Q[:, None]).sum(axis=1)).mean()),
        template_sd=_spread(blocks, is_right_Q),
    )
    return score, _outcomes(blocks, chosen_Q)


def _spread(blocks: Sequence[Block], is_right_Q: np.ndarray) -> float | None:
    """The standard deviation between templates of the share answered right; None of a single one."""
    template_Q = np.array([block.template for block in blocks for _ in block.facts])
    shares = [float(is_right_Q[template_Q == template].mean()) for template in sorted({*template_Q.tolist()})]
    return statistics.stdev(shares) if len(shares) > 1 else None


def _outcomes(blocks: Sequence[Block], chosen_Q: np.ndarray) -> QuestionOutcomes:
    chosen, start = [], 0
    for block in blocks:
        chosen.append(tuple(chosen_Q[start : start + len(block.facts)].tolist()))
        start += len(block.facts)
    right = tuple(block.right for block in blocks)
    own_places = all(places == tuple(range(len(places))) for places in right)
    return QuestionOutcomes(
        blocks=tuple(block.facts for block in blocks), chosen=tuple(chosen), right=() if own_places else right
    )


def _by_length(inputs: list[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    batches: list[list[tuple[int, ...]]] = []
    for ids in sorted(inputs, key=len):
        if not batches or len(ids) * (len(batches[-1]) + 1) > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(ids)
    return batches
