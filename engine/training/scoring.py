"""Scoring: which answer a model gives to each multiple-choice question, as lm-evaluation-harness scores it.

A choice's score is the sum of the log-probabilities of its tokens after the question; `acc` takes the largest sum,
`acc_norm` the largest sum divided by the answer's characters (lm-evaluation-harness v0.4, `multiple_choice`).
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
from engine.spec.questions import Block
from engine.training.model import Decoder, tensors
from engine.training.ranks import ALONE, Ranks, put_back

# Tokens a forward pass of scoring, padding included.
_BATCH_TOKENS = 16_384


class Answers(NamedTuple):
    """`logprobs_QK[q][k]`: summed log-probability of choice k of question q, minus infinity where a question has fewer
    choices than another; `chosen_Q`: the largest."""

    logprobs_QK: np.ndarray
    chosen_Q: np.ndarray
    score: SetScore


@torch.no_grad()
def answer(decoder: Decoder, questions: Sequence[Question], bos_id: int, ranks: Ranks = ALONE) -> Answers:
    """Score one fact set's questions in fp32.

    Each different input is run once: choices of one token share it. Inputs are batched by length and padded on the
    right, and the output layer is applied only where an answer is predicted. Of several ranks each takes some of the
    batches.
    """
    logprobs_QK = np.zeros((len(questions), max(len(question.choices) for question in questions)))
    # input tokens -> the (question, choice, first position, answer tokens) that are read off it
    wanted: dict[tuple[int, ...], list[tuple[int, int, int, list[int]]]] = {}
    for q, question in enumerate(questions):
        for k, choice in enumerate(question.choices):
            key = (bos_id, *question.context, *choice[:-1])
            wanted.setdefault(key, []).append((q, k, len(question.context), choice))
    device = decoder.lm_head.weight.device
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
        logits_TV = decoder.lm_head(hidden_BLD[rows, positions])
        logits_TV = logits_TV.to(torch.promote_types(logits_TV.dtype, torch.float32))
        target_T1 = torch.tensor(targets, device=device)[:, None]
        values = (logits_TV.gather(1, target_T1)[:, 0] - torch.logsumexp(logits_TV, dim=1)).tolist()
        for (q, k), value in zip(owners, values, strict=True):
            logprobs_QK[q, k] += value
    put_back(decoder)
    return _summed_up(questions, ranks.sum_arrays({"logprobs": logprobs_QK})["logprobs"])


@torch.no_grad()
def mean_loss(decoder: Decoder, rows: Sequence[Sequence[np.ndarray]], bos_id: int, ranks: Ranks = ALONE) -> float:
    """The mean loss in nats over all tokens of some batches of rows; each rank takes some of the batches."""
    total = 0.0
    for batch in ranks.own(rows, filled_with=[]):
        inputs_BL, targets_BL = tensors(batch, bos_id, decoder.lm_head.weight.device)
        total += float(decoder(inputs_BL, targets_BL))
    put_back(decoder)
    return ranks.sum(total) / sum(len(row) for batch in rows for row in batch)


def _summed_up(questions: Sequence[Question], logprobs_QK: np.ndarray) -> Answers:
    answers_Q = np.array([question.answer for question in questions])
    choices_Q = [len(question.choices) for question in questions]
    chars_QK = np.ones(logprobs_QK.shape)
    for q, question in enumerate(questions):
        chars_QK[q, : choices_Q[q]] = question.choice_chars
        logprobs_QK[q, choices_Q[q] :] = -np.inf
    chosen_Q = logprobs_QK.argmax(axis=1)
    chosen_norm_Q = (logprobs_QK / chars_QK).argmax(axis=1)
    score = SetScore(
        num_questions=len(questions),
        num_choices=choices_Q[0] if len({*choices_Q}) == 1 else statistics.harmonic_mean(choices_Q),
        correct=int((chosen_Q == answers_Q).sum()),
        correct_norm=int((chosen_norm_Q == answers_Q).sum()),
        mean_logprob=float(logprobs_QK[np.arange(len(questions)), answers_Q].mean()),
    )
    return Answers(logprobs_QK, chosen_Q, score)


def outcomes_of(blocks: Sequence[Block], chosen_Q: np.ndarray) -> QuestionOutcomes:
    """The answers taken, block by block, as a result keeps them."""
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
