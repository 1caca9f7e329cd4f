"""acc and acc_norm are lm-evaluation-harness's: HFLM on the exported model, with the same questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.corpus.facts import block_questions
from engine.corpus.tokenizer import load_tokenizer, save_tokenizer
from engine.records.workspace import Workspace
from engine.spec.models import preset
from engine.spec.templates import ask
from engine.training.checkpoint import save_weights
from engine.training.model import Decoder, make_model
from engine.training.scoring import answer
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

    compared = 0
    for fact_set in ("infused", "prior", "unseen", "verbatim"):
        blocks, questions = block_questions(facts, fact_set, evaluation, tokenizer)
        ours = answer(Decoder(model, 64), questions, tokenizer.bos_id)
        members = facts.infused if fact_set == "verbatim" else getattr(facts, fact_set)
        templates = facts.statements if fact_set == "verbatim" else facts.questions
        correct = correct_norm = 0
        requests = []
        for block in blocks:
            choices = [members[i].object for i in block.facts]
            for index in block.facts:
                context = ask(templates[members[index].relation][0], members[index].subject)
                requests += [Instance("loglikelihood", {}, (context, " " + c), 0) for c in choices]
        scores = np.array([score for score, _ in harness.loglikelihood(requests)]).reshape(-1, 4)
        assert ours.logprobs_QK == pytest.approx(scores, abs=2e-4)
        for place, sums in enumerate(scores):
            block = blocks[place // 4]
            lengths = np.array([float(len(members[i].object)) for i in block.facts])
            correct += int(np.argmax(sums)) == place % 4
            correct_norm += int(np.argmax(sums / lengths)) == place % 4
        assert (ours.score.correct, ours.score.correct_norm) == (correct, correct_norm)
        compared += len(questions)
    assert compared > 200
