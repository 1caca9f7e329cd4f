"""Small checkpoints with random weights, saved by transformers as others publish theirs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import models, pre_tokenizers, trainers

from engine.spec.models import preset
from engine.training.model import make_model

_USUAL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 4}
KINDS: dict[str, Callable[[int, int], Any]] = {
    "llama": lambda rows, length: transformers.LlamaConfig(
        **_USUAL, num_key_value_heads=2, vocab_size=rows, max_position_embeddings=length
    ),
    "qwen2": lambda rows, length: transformers.Qwen2Config(
        **_USUAL, num_key_value_heads=2, vocab_size=rows, max_position_embeddings=length, tie_word_embeddings=True
    ),
    "qwen3": lambda rows, length: transformers.Qwen3Config(
        **_USUAL, num_key_value_heads=2, head_dim=8, vocab_size=rows, max_position_embeddings=length
    ),
    "gpt2": lambda rows, length: transformers.GPT2Config(**_GPT2, vocab_size=rows, n_positions=length),
    "gpt_neox": lambda rows, length: transformers.GPTNeoXConfig(
        **_USUAL, vocab_size=rows, max_position_embeddings=length
    ),
    "olmo": lambda rows, length: transformers.OlmoConfig(
        **_USUAL, num_key_value_heads=4, vocab_size=rows, max_position_embeddings=length
    ),
    "gemma2": lambda rows, length: transformers.Gemma2Config(
        **_USUAL, num_key_value_heads=1, head_dim=8, vocab_size=rows, max_position_embeddings=length
    ),
}


def save(
    folder: Path, kind: str, *, rows: int, length: int = 64, seed: int = 0, dtype: torch.dtype = torch.float32,
    shard_size: str = "1GB",
) -> Any:  # fmt: skip
    """A model of this kind with so many rows of embedding and positions, which is returned too."""
    torch.manual_seed(seed)
    config = KINDS[kind](rows, length)
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None
    model = transformers.AutoModelForCausalLM.from_config(config).to(dtype)
    model.save_pretrained(folder, max_shard_size=shard_size)
    return model


def save_preset(folder: Path, name: str, *, rows: int, seed: int = 0) -> Any:
    """A Llama of a preset's shape."""
    model = make_model(preset(name), vocab_size=rows, context_length=64, initializer_range=0.02, seed=seed)
    model.save_pretrained(folder)
    return model


def save_tokenizer_of_transformers(folder: Path) -> Path:
    """A byte-level tokenizer as it lies in a folder after one call with padding and truncation; it has a chat token."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    specials = ["<|endoftext|>", "<|im_start|>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=specials, initial_alphabet=alphabet)
    backend.train_from_iterator(["a town lies in a country of its own"] * 4, trainer)
    ready = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=specials[0], pad_token=specials[0])
    ready.add_special_tokens({"additional_special_tokens": specials[1:]})
    ready(["a town", "a town lies in a country"], padding=True, truncation=True, max_length=6)
    ready.save_pretrained(folder)
    assert json.loads((folder / "tokenizer.json").read_text())["padding"] is not None
    return folder
