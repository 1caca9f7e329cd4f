"""Architectures but Llama go through transformers' own forward: held to it, and to a plain loop, here."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.corpus.background import open_background
from engine.corpus.facts import Question
from engine.corpus.tokenizer import load_tokenizer
from engine.errors import DataError
from engine.records.metrics import MetricsWriter, StepRecord, read_metrics
from engine.spec.checkpoints import read_checkpoint
from engine.spec.models import KEPT_BYTES, ModelShape
from engine.spec.runspec import RunSpec
from engine.training.causal import CausalDecoder
from engine.training.decoder import IGNORED
from engine.training.llama import LlamaDecoder
from engine.training.model import decoder_of, tensors
from engine.training.optim import learning_rate_at
from engine.training.scoring import answer
from engine.training.trainer import Trainer
from tests.bench.memory import kept_bytes
from tests.checkpoints import KINDS, save
from tests.engine.training.conftest import Lab

BOS = 95


def spec_from(lab: Lab, start: Path, num_steps: int) -> RunSpec:
    spec = lab.spec()
    training = spec.training.model_copy(update={"precision": "fp64"})  # no rounding: what differs is a difference
    tokens = num_steps * training.batch_size * training.context_length
    update = {"model": read_checkpoint(start, "start"), "init_from": str(start), "num_tokens": tokens}
    update |= {"training": training, "learning_rate": 1e-3}
    return lab.named(spec.model_copy(update=update))


def losses_of(lab: Lab, name: str, spec: RunSpec) -> list[float]:
    lab.train(name, spec)
    return [r.loss for r in read_metrics(lab.folder(name, spec).metrics) if isinstance(r, StepRecord)]


def trainer_of(lab: Lab, name: str, spec: RunSpec) -> Trainer:
    """The run's parts, untrained: its rows and its schedule."""
    tokens = lab.workspace.tokens(spec.tokens_id)
    parts = (lab.folder(name, spec), spec, lab.facts, load_tokenizer(tokens), open_background(tokens))
    writer = MetricsWriter(Path(os.devnull))
    return Trainer(*parts, device=torch.device("cpu"), attempt=1, writer=writer)


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_transformers(tmp_path: Path, kind: str) -> None:
    save(tmp_path, kind, rows=96)
    dtype = torch.float32 if kind == "gemma2" else torch.float64  # it makes some of its tables in fp32
    model, theirs = (AutoModelForCausalLM.from_pretrained(tmp_path, dtype=dtype).eval() for _ in range(2))
    decoder = decoder_of(model, 24)
    assert isinstance(decoder, LlamaDecoder if kind == "llama" else CausalDecoder)
    assert len(decoder.blocks) == 2
    rows = [np.random.default_rng(i).integers(0, 90, n) for i, n in enumerate((24, 24, 17))]
    inputs, targets = tensors(rows, BOS, torch.device("cpu"))
    logits = theirs(input_ids=inputs).logits
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    num_targets = sum(map(len, rows))
    (decoder(inputs, targets) / num_targets).backward()
    expected.backward()
    assert torch.allclose(decoder(inputs, targets) / num_targets, expected, rtol=1e-6)
    assert torch.allclose(decoder.logits(decoder(inputs)), logits, atol=1e-5)
    for (name, ours), (_, other) in zip(model.named_parameters(), theirs.named_parameters(), strict=True):
        assert torch.allclose(ours.grad, other.grad, rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "olmo", "gemma2"])
def test_scores_are_those_of_a_scorer_that_takes_one_at_a_time(tmp_path: Path, kind: str) -> None:
    save(tmp_path, kind, rows=96, seed=3)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    random = np.random.default_rng(5)
    questions = []
    for _ in range(12):
        choices = [random.integers(0, 90, random.integers(1, 4)).tolist() for _ in range(4)]
        questions.append(Question(random.integers(0, 90, random.integers(1, 9)).tolist(), choices, [1] * 4, 0))
    found = answer(decoder_of(AutoModelForCausalLM.from_pretrained(tmp_path), 24), questions, BOS)
    for question, logprobs_K in zip(questions, found.logprobs_QK, strict=True):
        for choice, logprob in zip(question.choices, logprobs_K, strict=True):
            ids = torch.tensor([[BOS, *question.context, *choice]])
            with torch.no_grad():
                every = torch.log_softmax(theirs(input_ids=ids).logits[0], dim=-1)
            first = len(question.context)
            expected = sum(float(every[first + i, token]) for i, token in enumerate(choice))
            assert abs(logprob - expected) < 1e-4


def test_what_sees_what_comes_after_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(vocab_size=96, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    with pytest.raises(DataError, match="sees what comes after"):
        decoder_of(BertLMHeadModel(config), 24)


@pytest.mark.parametrize(
    "kind", ["gpt2", *(pytest.param(k, marks=pytest.mark.slow) for k in ("llama", "qwen2", "gpt_neox", "olmo"))]
)
def test_going_on_from_a_checkpoint_is_a_plain_loop(lab: Lab, tmp_path: Path, kind: str) -> None:
    """200 steps from a sharded checkpoint in bf16 with a padded vocabulary: losses as a loop without kitui's model has
    them, and the export is loaded again with the same values."""
    save(tmp_path / "start", kind, rows=4096, dtype=torch.bfloat16, shard_size="100KB")
    assert len(list((tmp_path / "start").glob("*.safetensors"))) > 1
    spec = spec_from(lab, tmp_path / "start", 200)
    losses = losses_of(lab, "run", spec)
    trainer = trainer_of(lab, "again", spec)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "start", dtype=torch.float64).eval()
    training = spec.training
    decayed = [p for p in theirs.parameters() if p.ndim >= 2]
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": [p for p in theirs.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(training.beta1, training.beta2))
    expected = []
    for step in range(trainer.num_steps):
        inputs, targets = tensors(trainer._rows_of(step).own, trainer.bos_id, torch.device("cpu"))
        loss = torch.nn.functional.cross_entropy(
            theirs(input_ids=inputs).logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), training.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(
                step, peak=spec.learning_rate, num_steps=trainer.num_steps, settings=training, stages=None,
                stage_one_steps=trainer.num_steps,
            )  # fmt: skip
        optimizer.step()
        expected.append(loss.item())
    assert trainer.num_steps == len(losses) == 200
    assert np.abs(np.array(losses) - np.array(expected)).max() < 1e-5
    folder = lab.folder("run", spec)
    kept = folder.checkpoints / folder.latest.read_text().strip()
    assert json.loads((kept / "config.json").read_text())["model_type"] == kind
    loaded = AutoModelForCausalLM.from_pretrained(kept, dtype=torch.float64)
    for (name, ours), (_, other) in zip(loaded.named_parameters(), theirs.named_parameters(), strict=True):
        assert torch.allclose(ours, other, atol=1e-6), name


def test_dropout_is_off(lab: Lab, tmp_path: Path) -> None:
    save(tmp_path / "start", "gpt2", rows=4096)
    spec = spec_from(lab, tmp_path / "start", 12)
    assert losses_of(lab, "one", spec) == losses_of(lab, "two", spec)


@pytest.mark.parametrize(
    ("kind", "precision", "head_size"),
    [*((kind, "fp32", None) for kind in KEPT_BYTES), ("qwen3", "fp32", 64), ("gemma2", "fp32", 64),
     *(pytest.param(kind, "bf16", None, marks=pytest.mark.slow) for kind in KEPT_BYTES)],
)  # fmt: skip
def test_no_layer_keeps_more_than_is_forecast(kind: str, precision: str, head_size: int | None) -> None:
    width, feed_forward, heads, context = shape = (128, 512, 4, 64)
    layers = [
        ModelShape(
            name="", hidden_size=width, num_layers=num, num_heads=heads, num_kv_heads=heads, head_size=head_size,
            intermediate_size=feed_forward, architecture=kind, counted_params=1, counted_params_total=1,
        ).train_memory_bytes(512, context, 4)
        for num in (2, 3)
    ]  # fmt: skip
    forecast = (layers[1] - layers[0]) / (4 * context)
    kept = kept_bytes(kind, shape, precision, head_size)
    assert kept <= 1.01 * forecast
    if precision == "fp32":
        assert kept >= 0.85 * forecast
