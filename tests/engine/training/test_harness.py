"""acc and acc_norm are lm-evaluation-harness's: HFLM on the exported model, with the same questions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from engine.corpus.facts import block_questions
from engine.corpus.tokenizer import load_tokenizer, save_tokenizer
from engine.records.workspace import Workspace
from engine.spec.models import preset
from engine.spec.questions import KINDS
from engine.training.checkpoint import save_weights
from engine.training.model import decoder_of, make_model
from engine.training.scoring import answer, score_of
from tests.conftest import prepare

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ['"word"\nvocab_size = 300', '"bpe"\nvocab_size = 900'])
def test_the_same_numbers_as_hflm(
    write_sweep: Callable[..., Path], workspace: Workspace, tmp_path: Path, kind: str
) -> None:
    models = pytest.importorskip("lm_eval.models.huggingface", reason="install kitui[slow]")
    from lm_eval.api.instance import Instance

    text = write_sweep().read_text().replace('kind = "word"\nvocab_size = 300', f"kind = {kind}")
    text = text.replace("context_length = 32", "context_length = 64").replace("prior_rate = 800", "prior_rate = 300")
    prepared = prepare(write_sweep(text), workspace)
    facts, evaluation = prepared.bundle.facts, prepared.bundle.runs[0].evaluation
    tokenizer = load_tokenizer(workspace.tokens(prepared.bundle.plan.tokens_id))
    model = make_model(
        preset("nano-28k"), vocab_size=tokenizer.vocab_size, context_length=64, initializer_range=0.3, seed=5
    ).eval()
    save_weights(model, tmp_path / "model") if (tmp_path / "model").mkdir() is None else None
    save_tokenizer(tokenizer, tmp_path / "model")
    harness = models.HFLM(
        pretrained=str(tmp_path / "model"),
        device="cpu",
        dtype="float32",
        batch_size=8,
        add_bos_token=True,
        max_length=64,
    )

    of_facts = [kind for kind in KINDS if kind not in ("own_choices", "two_hop", "neighbour")]
    asked = {kind: evaluation.model_copy(update={"kind": kind}) for kind in of_facts}
    compared = dict.fromkeys(of_facts, 0)
    for kind, fact_set in product(of_facts, ("infused", "prior", "unseen", "verbatim")):
        blocks, questions = block_questions(facts, fact_set, asked[kind], tokenizer)
        if not questions:  # not every statement can be cut before its subject
            continue
        ours = answer(decoder_of(model, 64), questions, tokenizer.bos_id)
        score, _ = score_of(questions, ours, KINDS[kind], blocks)
        requests, owners = [], []
        for block in blocks:
            for context in block.contexts:
                owners.append(block)
                requests += [Instance("loglikelihood", {}, (context, block.prefix + c), 0) for c in block.choices]
        theirs = iter(harness.loglikelihood(requests))
        right = [place for block in blocks for place in block.right]
        correct = correct_norm = 0
        for q, block in enumerate(owners):
            said = [next(theirs) for _ in block.choices]
            sums = np.array([logprob for logprob, _ in said])
            assert ours.logprobs_QK[q, : len(sums)] == pytest.approx(sums, abs=2e-4)
            lengths = np.array([float(len(choice)) for choice in block.choices])
            if KINDS[kind].is_free:
                correct += any(greedy for _, greedy in said)
                correct_norm = correct
            else:
                correct += int(np.argmax(sums)) == right[q]
                correct_norm += int(np.argmax(sums / lengths)) == right[q]
        assert (score.correct, score.correct_norm) == (correct, correct_norm)
        compared[kind] += len(questions)
    assert min(compared.values()) > 100, compared
