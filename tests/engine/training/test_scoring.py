"""Scoring against the plainest way to do it; against lm-evaluation-harness in test_harness.py."""

import numpy as np
import pytest
import torch

from engine.corpus.facts import Question
from engine.records.metrics import retention_of
from engine.records.record import decoded, encoded
from engine.records.results import QuestionOutcomes
from engine.spec.models import preset
from engine.spec.questions import Block
from engine.training import scoring
from engine.training.model import Decoder, make_model
from engine.training.scoring import answer, outcomes_of

BOS = 0


@pytest.fixture
def model() -> torch.nn.Module:
    return make_model(preset("nano-7k"), vocab_size=60, context_length=30, initializer_range=0.5, seed=0).eval()


def questions(num: int, longest_choice: int) -> list[Question]:
    generator = torch.Generator().manual_seed(4)

    def ids(low: int, high: int) -> list[int]:
        length = int(torch.randint(low, high + 1, (1,), generator=generator))
        return torch.randint(1, 60, (length,), generator=generator).tolist()

    made = []
    for index in range(num):
        choices = [ids(1, longest_choice) for _ in range(4)]
        made.append(Question(ids(1, 12), choices, [3 + index % 5, 7, 5, 11], index % 4))
    return made


@pytest.mark.parametrize("longest_choice", [1, 4])
def test_sums_of_log_probabilities(model: torch.nn.Module, longest_choice: int) -> None:
    asked = questions(23, longest_choice)
    result = answer(Decoder(model, 30), asked, BOS)
    right = right_norm = 0
    for q, question in enumerate(asked):
        sums = []
        for choice in question.choices:
            ids = torch.tensor([[BOS, *question.context, *choice]])
            with torch.no_grad():
                logprobs = model(input_ids=ids).logits.log_softmax(-1)[0]
            start = len(question.context)
            sums.append(sum(float(logprobs[start + i, token]) for i, token in enumerate(choice)))
        assert result.logprobs_QK[q] == pytest.approx(sums, abs=1e-4)
        right += max(range(4), key=lambda k: sums[k]) == question.answer
        right_norm += max(range(4), key=lambda k: sums[k] / question.choice_chars[k]) == question.answer
    assert (result.score.correct, result.score.correct_norm) == (right, right_norm)
    assert result.score.num_choices == 4


def test_questions_may_have_different_numbers_of_choices(model: torch.nn.Module) -> None:
    of_four = questions(8, 2)
    of_two = [q._replace(choices=q.choices[:2], choice_chars=q.choice_chars[:2], answer=q.answer % 2) for q in of_four]
    both = answer(Decoder(model, 30), [*of_two, *of_four], BOS)
    alone = [answer(Decoder(model, 30), asked, BOS) for asked in (of_two, of_four)]
    assert both.score.correct == sum(one.score.correct for one in alone)
    assert both.score.correct_norm == sum(one.score.correct_norm for one in alone)
    assert both.chosen_Q.tolist() == [k for one in alone for k in one.chosen_Q.tolist()]
    # What is right by chance is (8/2 + 8/4) of 16.
    assert both.score.num_choices == pytest.approx(16 / 6)
    assert retention_of(6 / 16, both.score.num_choices) == pytest.approx(0)


def test_outcomes_keep_which_choice_was_right_where_that_is_not_plain() -> None:
    own = [Block((0, 1), ("a", "b"), (0, 1)), Block((2, 3), ("c", "d"), (0, 1))]
    outcomes = outcomes_of(own, np.array([1, 1, 0, 1]))
    assert outcomes.chosen == ((1, 1), (0, 1))
    assert b"right" not in encoded(outcomes)
    shared = [Block((0, 1, 2), ("a", "b"), (0, 1, 1)), Block((3,), ("c", "d", "e"), (2,))]
    outcomes = outcomes_of(shared, np.array([1, 1, 0, 2]))
    again = decoded(QuestionOutcomes, encoded(outcomes))
    assert again.chosen == ((1, 1, 0), (2,))
    assert [again.right_of(block) for block in range(2)] == [(0, 1, 1), (2,)]


def test_batches_of_any_size_give_the_same(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = questions(40, 3)
    whole = answer(Decoder(model, 30), asked, BOS)
    monkeypatch.setattr(scoring, "_BATCH_TOKENS", 17)
    pieces = answer(Decoder(model, 30), asked, BOS)
    assert pieces.logprobs_QK == pytest.approx(whole.logprobs_QK, abs=1e-4)
    assert pieces.score.correct == whole.score.correct


def test_one_token_answers_share_one_input(model: torch.nn.Module) -> None:
    asked = [Question([1, 2, 3], [[4], [5], [6], [7]], [1, 1, 1, 1], 0)] * 5
    sizes = []
    decoder = Decoder(model, 30)
    decoder.register_forward_pre_hook(lambda _, arguments: sizes.append(arguments[0].shape))
    answer(decoder, asked, BOS)
    assert sizes == [torch.Size([1, 4])]
