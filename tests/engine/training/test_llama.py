import pytest
import torch
import torch.nn.functional as F

from engine.spec.models import ModelShape, preset
from engine.training.checkpoint import load_weights, save_weights
from engine.training.loss import summed_cross_entropy
from engine.training.model import decoder_of, make_model

SHAPES = {
    "one layer": preset("nano-13k"),
    "two layers": preset("nano-396k"),
    "grouped heads": ModelShape(
        name="grouped",
        hidden_size=32,
        num_layers=2,
        num_heads=8,
        num_kv_heads=2,
        intermediate_size=64,
        tied_embeddings=False,
    ),
}


def model_of(shape: ModelShape, seed: int = 0) -> torch.nn.Module:
    """In double precision: what is left of a difference is that transformers takes norms in single precision."""
    return make_model(shape, vocab_size=300, context_length=24, initializer_range=0.1, seed=seed).double()


@pytest.mark.parametrize("name", SHAPES)
def test_the_short_way_gives_what_transformers_gives(name: str) -> None:
    model = model_of(SHAPES[name])
    ids = torch.randint(0, 300, (5, 20), generator=torch.Generator().manual_seed(1))
    ours = decoder_of(model, 24)(ids)
    theirs = model.model(input_ids=ids, use_cache=False).last_hidden_state
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_loss_and_gradients_are_those_of_transformers(name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    ids, targets = (torch.randint(0, 300, (3, 20), generator=generator) for _ in range(2))
    ours, theirs = model_of(SHAPES[name]), model_of(SHAPES[name])
    loss = decoder_of(ours, 24)(ids, targets)
    (loss / 60).backward()
    logits = theirs(input_ids=ids, use_cache=False).logits
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    expected.backward()
    assert torch.allclose(loss / 60, expected, rtol=1e-6)
    for (name_, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-6), name_


def test_long_inputs_are_chunked_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(SHAPES["one layer"])
    hidden = torch.randn(50, 32, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    targets = torch.arange(50)
    whole = summed_cross_entropy(model.lm_head.weight, hidden, targets)
    monkeypatch.setattr("engine.training.loss.LOSS_CHUNK_TOKENS", 7)
    assert torch.allclose(summed_cross_entropy(model.lm_head.weight, hidden, targets), whole)


def test_padding_on_the_right_changes_nothing_to_its_left() -> None:
    decoder = decoder_of(model_of(SHAPES["two layers"]), 24)
    ids = torch.randint(0, 300, (2, 10))
    padded = torch.cat([ids, torch.zeros(2, 9, dtype=torch.long)], dim=1)
    assert torch.allclose(decoder(padded)[:, :10], decoder(ids), atol=1e-12)


def test_the_seed_fixes_the_weights() -> None:
    a, b, c = model_of(SHAPES["one layer"], 0), model_of(SHAPES["one layer"], 0), model_of(SHAPES["one layer"], 1)
    assert torch.equal(a.lm_head.weight, b.lm_head.weight)
    assert not torch.equal(a.lm_head.weight, c.lm_head.weight)


@pytest.mark.parametrize("name", SHAPES)
def test_weights_come_back_here_and_in_transformers(tmp_path: object, name: str) -> None:
    from transformers import AutoModelForCausalLM

    model, other = model_of(SHAPES[name], 0).float(), model_of(SHAPES[name], 1).float()
    save_weights(model, tmp_path)
    load_weights(other, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.randint(0, 300, (1, 8))
    for again in (other, loaded):
        assert torch.equal(again(input_ids=ids).logits, model(input_ids=ids).logits)
