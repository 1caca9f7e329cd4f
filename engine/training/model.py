"""The model of a run: a fresh Llama, or a checkpoint that transformers loads, and the way through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from engine.errors import DataError
from engine.spec.models import ModelShape
from engine.spec.runspec import RunSpec
from engine.training.causal import CausalDecoder
from engine.training.decoder import IGNORED, Decoder
from engine.training.llama import LlamaDecoder

# Of rotary positions, the kinds whose tables do not depend on how long a row is.
_FIXED_ROTARY = ("default", "linear", "llama3")


def make_model(
    shape: ModelShape, *, vocab_size: int, context_length: int, initializer_range: float, seed: int
) -> LlamaForCausalLM:
    """A freshly initialised model, in fp32 on the CPU, the same for the same arguments."""
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads,
        tie_word_embeddings=shape.tied_embeddings,
        max_position_embeddings=context_length,
        initializer_range=initializer_range,
        rms_norm_eps=1e-6,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(seed)
    return LlamaForCausalLM(config)


def load_model(checkpoint: str, shape: ModelShape, *, vocab_size: int) -> Any:
    """A causal language model to start from (`init_from`), in fp32: a folder or a hub name. DataError where it cannot
    be loaded, or is not of the shape that was planned, which is seen before its weights are read."""
    try:
        config = AutoConfig.from_pretrained(checkpoint, trust_remote_code=False)
        _check_config(config, shape, vocab_size)
        model = AutoModelForCausalLM.from_pretrained(
            checkpoint, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except Exception as error:  # of many types: what is read is not ours
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"this checkpoint cannot be loaded: {said}",
            key="training.init_from",
            value=checkpoint,
            mend="Give a checkpoint in safetensors that this machine can reach.",
        ) from None
    return model


def _check_config(config: Any, shape: ModelShape, vocab_size: int) -> None:
    wanted = {
        "model_type": shape.architecture,
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
    }
    for key, planned in wanted.items():
        found = getattr(config, key, planned)
        if found != planned:
            raise ValueError(f"it has {key} = {found}, and was planned with {planned}.")
    if config.vocab_size < vocab_size:
        raise ValueError(f"it knows {config.vocab_size:,} tokens, and the tokenizer {vocab_size:,}.")


def model_of(spec: RunSpec, vocab_size: int) -> Any:
    """The model that a run starts with, in fp32 on the CPU."""
    if spec.init_from:
        return load_model(spec.init_from, spec.model, vocab_size=vocab_size)
    training = spec.training
    return make_model(
        spec.model,
        vocab_size=vocab_size,
        context_length=training.context_length,
        initializer_range=training.initializer_range,
        seed=spec.seed,
    )


def untrained(spec: RunSpec, vocab_size: int) -> Any:
    """A model of the run's shape with any weights, to measure its speed; of a checkpoint, its config alone is read.
    DataError where that cannot be had."""
    if spec.model.architecture == "llama":
        length = spec.training.context_length
        rows = spec.model.vocab_rows or vocab_size
        return make_model(spec.model, vocab_size=rows, context_length=length, initializer_range=0.02, seed=0)
    try:
        config = AutoConfig.from_pretrained(str(spec.init_from), trust_remote_code=False, local_files_only=True)
        return AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise DataError(f"no config of it here: {error}", key="training.init_from", value=spec.init_from) from None


def decoder_of(causal_lm: Any, context_length: int) -> Decoder:
    """The quick way through a Llama, transformers' own through others."""
    config = causal_lm.config
    quick = (
        isinstance(causal_lm, LlamaForCausalLM)
        and config.hidden_act == "silu"
        and (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default") in _FIXED_ROTARY
    )
    return LlamaDecoder(causal_lm, context_length) if quick else CausalDecoder(causal_lm)


def tensors(rows: Sequence[np.ndarray], bos_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets, [B, L]: a row is predicted from BOS and its own beginning; short rows are padded. Of no rows
    a single position is left, whose target is ignored."""
    width = max(map(len, rows), default=1)
    inputs_BL = np.full((max(1, len(rows)), width), bos_id, dtype=np.int64)
    targets_BL = np.full(inputs_BL.shape, IGNORED, dtype=np.int64)
    for index, row in enumerate(rows):
        inputs_BL[index, 1 : len(row)] = row[:-1]
        targets_BL[index, : len(row)] = row
    return torch.from_numpy(inputs_BL).to(device), torch.from_numpy(targets_BL).to(device)
