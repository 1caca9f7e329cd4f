"""Scoring against the plainest way to do it; against lm-evaluation-harness in test_harness.py."""

import numpy as np
import pytest
import torch

from engine.corpus.facts import Question
from engine.records.metrics import SetScore, retention_of
from engine.records.record import decoded, encoded
from engine.records.results import QuestionOutcomes
from engine.spec.models import preset
from engine.spec.questions import KINDS
from engine.spec.questions.base import Block
from engine.training import scoring
from engine.training.model import decoder_of, make_model
from engine.training.scoring import Answers, answer, score_of

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


def block_of(question: Question) -> Block:
    return Block((0,), ("",), tuple(map(str, question.choices)), (question.answer,))


def scored(asked: list[Question], answers: Answers, kind: str = "choice") -> SetScore:
    return score_of(asked, answers, KINDS[kind], [block_of(question) for question in asked])[0]


@pytest.mark.parametrize("longest_choice", [1, 4])
def test_sums_of_log_probabilities(model: torch.nn.Module, longest_choice: int) -> None:
    asked = questions(23, longest_choice)
    result = answer(decoder_of(model, 30), asked, BOS)
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
    score = scored(asked, result)
    assert (score.correct, score.correct_norm, score.num_choices) == (right, right_norm, 4)


def test_questions_may_have_different_numbers_of_choices(model: torch.nn.Module) -> None:
    of_four = questions(8, 2)
    of_two = [q._replace(choices=q.choices[:2], choice_chars=q.choice_chars[:2], answer=q.answer % 2) for q in of_four]
    both = answer(decoder_of(model, 30), [*of_two, *of_four], BOS)
    alone = [answer(decoder_of(model, 30), asked, BOS) for asked in (of_two, of_four)]
    of_both, of_each = scored([*of_two, *of_four], both), [scored(of_two, alone[0]), scored(of_four, alone[1])]
    assert of_both.correct == sum(score.correct for score in of_each)
    assert of_both.correct_norm == sum(score.correct_norm for score in of_each)
    assert both.chosen_Q.tolist() == [k for one in alone for k in one.chosen_Q.tolist()]
    # What is right by chance is (8/2 + 8/4) of 16.
    assert of_both.num_choices == pytest.approx(16 / 6)
    assert retention_of(6 / 16, of_both.num_choices) == pytest.approx(0)


def test_outcomes_keep_which_choice_was_right_where_that_is_not_plain() -> None:
    def outcomes(blocks: list[Block], chosen: list[int]) -> QuestionOutcomes:
        asked = [Question([1], [[2]] * len(b.choices), [1] * len(b.choices), r) for b in blocks for r in b.right]
        logprobs = np.full((len(asked), 3), -9.0)
        logprobs[np.arange(len(asked)), chosen] = -1.0
        return score_of(asked, Answers(logprobs, logprobs > -2), KINDS["choice"], blocks)[1]

    own = [Block((0, 1), ("", ""), ("a", "b"), (0, 1)), Block((2, 3), ("", ""), ("c", "d"), (0, 1))]
    kept = outcomes(own, [1, 1, 0, 1])
    assert kept.chosen == ((1, 1), (0, 1))
    assert b"right" not in encoded(kept)
    shared = [Block((0, 1, 2), ("",) * 3, ("a", "b"), (0, 1, 1)), Block((3,), ("",), ("c", "d", "e"), (2,))]
    again = decoded(QuestionOutcomes, encoded(outcomes(shared, [1, 1, 0, 2])))
    assert again.chosen == ((1, 1, 0), (2,))
    assert [again.right_of(block) for block in range(2)] == [(0, 1, 1), (2,)]


def test_a_free_answer_is_what_greedy_decoding_says(model: torch.nn.Module) -> None:
    asked = []
    for question in questions(12, 3):
        ids = [BOS, *question.context]
        for _ in range(2):
            with torch.no_grad():
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        said, other = ids[-2:], [(ids[-2] + 1) % 60, 3]
        asked += [
            question._replace(choices=c, choice_chars=[1] * len(c), answer=0) for c in ([other, said], [other], [said])
        ]
    score = scored(asked, answer(decoder_of(model, 30), asked, BOS), "cloze")
    assert (score.num_questions, score.correct) == (36, 24)
    assert score.retention == pytest.approx(24 / 36)


def test_ranks_and_the_spread_of_templates() -> None:
    logprobs = np.log([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    asked = [Question([1], [[2]] * 3, [1] * 3, 0)] * 4
    blocks = [Block((0, 1), ("", ""), ("a", "b", "c"), (0, 0), template=t) for t in (0, 1)]
    score, _ = score_of(asked, Answers(logprobs, logprobs > -1), KINDS["paraphrase"], blocks)
    assert score.mean_reciprocal_rank == pytest.approx((1 + 1 / 3 + 1 / 3 + 1) / 4)
    assert score.template_sd == 0  # one of two right in each
    of_one, _ = score_of(
        asked, Answers(logprobs, logprobs > -1), KINDS["rank"], [b._replace(template=0) for b in blocks]
    )
    assert (of_one.template_sd, of_one.num_choices) == (None, 1)


def test_batches_of_any_size_give_the_same(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = questions(40, 3)
    whole = answer(decoder_of(model, 30), asked, BOS)
    monkeypatch.setattr(scoring, "_BATCH_TOKENS", 17)
    pieces = answer(decoder_of(model, 30), asked, BOS)
    assert pieces.logprobs_QK == pytest.approx(whole.logprobs_QK, abs=1e-4)
    assert (pieces.greedy_QK == whole.greedy_QK).all()


def test_one_token_answers_share_one_input(model: torch.nn.Module) -> None:
    asked = [Question([1, 2, 3], [[4], [5], [6], [7]], [1, 1, 1, 1], 0)] * 5
    sizes = []
    decoder = decoder_of(model, 30)
    decoder.register_forward_pre_hook(lambda _, arguments: sizes.append(arguments[0].shape))
    answer(decoder, asked, BOS)
    assert sizes == [torch.Size([1, 4])]
