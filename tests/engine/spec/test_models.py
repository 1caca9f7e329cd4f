import pytest
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from engine.errors import SpecError
from engine.spec.models import PRESETS, next_size_up, preset


def test_the_presets_are_there() -> None:
    assert {"137M", "350M", "1B", "3B"} <= set(PRESETS)
    assert sum(name.startswith("nano") for name in PRESETS) >= 10
    assert all(name == shape.name for name, shape in PRESETS.items())


@pytest.mark.parametrize("name", PRESETS)
def test_parameter_counts_are_those_of_the_real_model(name: str) -> None:
    import torch

    shape = preset(name)
    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    embedding = model.get_input_embeddings().weight.numel()
    parameters = {id(p): p for p in model.parameters()}
    if model.lm_head.weight is not model.get_input_embeddings().weight:  # tying is undone on the meta device
        parameters.pop(id(model.lm_head.weight))
    total = sum(p.numel() for p in parameters.values())
    assert shape.num_params == total - embedding
    assert shape.num_params_total(1000) == total


def test_nominal_sizes_with_a_vocabulary_of_32000() -> None:
    nominal = {"137M": 137e6, "350M": 350e6, "1B": 1e9, "3B": 3e9}
    for name, size in nominal.items():
        assert abs(preset(name).num_params_total(32_000) / size - 1) < 0.1


def test_flops_are_six_a_parameter_and_the_attention() -> None:
    shape = preset("3B")
    flops = shape.train_flops_per_token(32_000, 2048)
    assert flops > 6 * shape.num_params
    assert flops < 6 * shape.num_params * 1.25


def test_names_in_any_case_and_a_list_of_them() -> None:
    assert preset("1b").name == "1B"
    with pytest.raises(SpecError, match="nano-13k"):
        preset("nano-14k")


def test_the_next_size_up() -> None:
    assert next_size_up(preset("nano-49k").num_params)[1] == "nano-78k"
    assert next_size_up(1e12) == (2e12, None)  # above all presets: never back among the data
