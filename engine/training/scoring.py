"""Scoring: which answer a model gives to each multiple-choice question, as lm-evaluation-harness scores it.

A choice's score is the sum of the log-probabilities of its tokens after the question; `acc` takes the largest sum,
`acc_norm` the largest sum divided by the answer's characters (lm-evaluation-harness v0.4, `multiple_choice`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from engine.corpus.facts import Question
from engine.records.metrics import SetScore
from engine.training.model import Rotary, hidden_states

# Tokens a forward pass of scoring, padding included.
_BATCH_TOKENS = 16_384


class Answers(NamedTuple):
    """`logprobs_QK[q][k]`: summed log-probability of choice k of question q; `chosen_Q`: the largest."""

    logprobs_QK: np.ndarray
    chosen_Q: np.ndarray
    score: SetScore


@torch.no_grad()
def answer(model: LlamaForCausalLM, rotary: Rotary, questions: Sequence[Question], bos_id: int) -> Answers:
    """Score one fact set's questions, all with the same number of choices, in fp32.

    Each different input is run once: choices of one token share it. Inputs are batched by length and padded on the
    right, and the output layer is applied only where an answer is predicted.
    """
    logprobs_QK = np.zeros((len(questions), len(questions[0].choices)))
    # input tokens -> the (question, choice, first position, answer tokens) that are read off it
    wanted: dict[tuple[int, ...], list[tuple[int, int, int, list[int]]]] = {}
    for q, question in enumerate(questions):
        for k, choice in enumerate(question.choices):
            key = (bos_id, *question.context, *choice[:-1])
            wanted.setdefault(key, []).append((q, k, len(question.context), choice))
    for batch in _by_length(list(wanted)):
        width = max(len(ids) for ids in batch)
        padded = [[*ids, *[bos_id] * (width - len(ids))] for ids in batch]
        hidden_BLD = hidden_states(model, torch.tensor(padded, device=model.device), rotary)
        rows: list[int] = []
        positions: list[int] = []
        targets: list[int] = []
        owners: list[tuple[int, int]] = []
        for row, ids in enumerate(batch):
            for q, k, first, choice in wanted[ids]:
                rows.extend([row] * len(choice))
                positions.extend(range(first, first + len(choice)))
                targets.extend(choice)
                owners.extend([(q, k)] * len(choice))
        logits_TV = model.lm_head(hidden_BLD[rows, positions]).float()
        target_T1 = torch.tensor(targets, device=model.device)[:, None]
        values = (logits_TV.gather(1, target_T1)[:, 0] - torch.logsumexp(logits_TV, dim=1)).tolist()
        for (q, k), value in zip(owners, values, strict=True):
            logprobs_QK[q, k] += value
    return _summed_up(questions, logprobs_QK)


def _summed_up(questions: Sequence[Question], logprobs_QK: np.ndarray) -> Answers:
    answers_Q = np.array([question.answer for question in questions])
    chosen_Q = logprobs_QK.argmax(axis=1)
    chars_QK = np.array([question.choice_chars for question in questions])
    chosen_norm_Q = (logprobs_QK / chars_QK).argmax(axis=1)
    score = SetScore(
        num_questions=len(questions),
        num_choices=logprobs_QK.shape[1],
        correct=int((chosen_Q == answers_Q).sum()),
        correct_norm=int((chosen_norm_Q == answers_Q).sum()),
        mean_logprob=float(logprobs_QK[np.arange(len(questions)), answers_Q].mean()),
    )
    return Answers(logprobs_QK, chosen_Q, score)


def _by_length(inputs: list[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    batches: list[list[tuple[int, ...]]] = []
    for ids in sorted(inputs, key=len):
        if not batches or len(ids) * (len(batches[-1]) + 1) > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(ids)
    return batches
