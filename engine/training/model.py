"""The model: a transformers `LlamaForCausalLM`, and the shorter way through it that training and scoring take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from engine.errors import DataError
from engine.spec.models import LOSS_CHUNK_TOKENS, ModelShape

IGNORED = -100
"""A target that bears no loss."""

# Shape suffixes: B rows, L positions, H heads, K key-value heads, C channels a head, D width, V vocabulary.


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


def load_model(checkpoint: str, shape: ModelShape, *, vocab_size: int) -> LlamaForCausalLM:
    """A model to start from (`init_from`): a folder or a hub name. DataError unless it is a Llama of this shape."""
    try:
        model = LlamaForCausalLM.from_pretrained(
            checkpoint, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, use_cache=False
        )
    except Exception as error:  # of many types: what is read is not ours
        raise DataError(
            f"this checkpoint cannot be loaded: {str(error).splitlines()[0]}",
            key="training.init_from",
            value=checkpoint,
            mend="Give a Llama checkpoint in safetensors that this machine can reach.",
        ) from None
    config = model.config
    expected = {
        "model_type": "llama",
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "intermediate_size": shape.intermediate_size,
        "vocab_size": vocab_size,
    }
    for key, wanted in expected.items():
        if getattr(config, key) != wanted:
            raise DataError(
                f"the checkpoint has {key} = {getattr(config, key)}; {shape.name} with this tokenizer has {wanted}.",
                key="training.init_from",
                value=checkpoint,
            )
    return model


class Block(torch.nn.Module):
    """One layer of a Llama. A module of its own, so that FSDP gathers its weights when its turn comes."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, h_BLD: torch.Tensor, rotary: Rotary) -> torch.Tensor:
        layer = self.layer
        h_BLD = h_BLD + _attention(layer.self_attn, _rms_norm(layer.input_layernorm, h_BLD), rotary)
        a_BLD = _rms_norm(layer.post_attention_layernorm, h_BLD)
        mlp = layer.mlp
        fed: torch.Tensor = mlp.down_proj(F.silu(mlp.gate_proj(a_BLD)) * mlp.up_proj(a_BLD))
        return h_BLD + fed


class Decoder(torch.nn.Module):
    """The parts of a `LlamaForCausalLM`, its own parameters, and the shorter way through them.

    transformers' own forward builds masks, caches and output objects that cost a small model a third of its time.
    Rows attend causally to all before them; right-padding therefore changes nothing to its left.
    tests/engine/training/test_model.py holds it to transformers' forward, values and gradients.
    """

    def __init__(self, llama: LlamaForCausalLM, context_length: int) -> None:
        super().__init__()
        self.embed_tokens = llama.model.embed_tokens
        self.blocks = torch.nn.ModuleList(Block(layer) for layer in llama.model.layers)
        self.norm = llama.model.norm
        self.lm_head = llama.lm_head
        self.rotary = Rotary(llama, context_length)
        self._llama = (llama,)  # in a tuple: as a submodule, it would have all parameters a second time

    @property
    def llama(self) -> LlamaForCausalLM:
        return self._llama[0]

    def forward(
        self, input_ids_BL: torch.Tensor, targets_BL: torch.Tensor | None = None, *, padded: bool = True
    ) -> torch.Tensor:
        """The final normalised hidden states, [B, L, D]; or, given targets, their summed loss in nats, a scalar.
        Where the targets are `padded`, those that are `IGNORED` bear no loss."""
        h_BLD = self.embed_tokens(input_ids_BL)
        for block in self.blocks:
            h_BLD = block(h_BLD, self.rotary)
        h_BLD = _rms_norm(self.norm, h_BLD)
        if targets_BL is None:
            return h_BLD
        if padded:
            bears_loss = targets_BL != IGNORED
            return summed_cross_entropy(self.lm_head.weight, h_BLD[bears_loss], targets_BL[bears_loss])
        return summed_cross_entropy(self.lm_head.weight, h_BLD.flatten(0, 1), targets_BL.flatten())


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


class Rotary:
    """Cosines and sines of the rotary positions of one model, [context_length, C], made once."""

    def __init__(self, model: LlamaForCausalLM, context_length: int) -> None:
        device = model.device
        positions = torch.arange(context_length, device=device).unsqueeze(0)
        cos, sin = model.model.rotary_emb(torch.zeros(1, device=device), positions)
        half = sin.shape[-1] // 2
        self.cos = cos[0]
        # rotate_half(x) is (-x2, x1): rolling by half and negating the first half of the sines does the same.
        self.signed_sin = torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)

    def __call__(self, x_BHLC: torch.Tensor) -> torch.Tensor:
        length, half = x_BHLC.shape[-2], x_BHLC.shape[-1] // 2
        cos, sin = self.cos[:length].to(x_BHLC.dtype), self.signed_sin[:length].to(x_BHLC.dtype)
        return torch.addcmul(x_BHLC * cos, torch.roll(x_BHLC, half, -1), sin)


def _attention(attention: Any, x_BLD: torch.Tensor, rotary: Rotary) -> torch.Tensor:
    batch, length, _ = x_BLD.shape
    heads = (batch, length, -1, attention.head_dim)
    q_BHLC = rotary(attention.q_proj(x_BLD).view(heads).transpose(1, 2))
    k_BKLC = rotary(attention.k_proj(x_BLD).view(heads).transpose(1, 2))
    v_BKLC = attention.v_proj(x_BLD).view(heads).transpose(1, 2)
    grouped = attention.num_key_value_groups > 1
    out_BHLC = F.scaled_dot_product_attention(q_BHLC, k_BKLC, v_BKLC, is_causal=True, enable_gqa=grouped)
    out: torch.Tensor = attention.o_proj(out_BHLC.transpose(1, 2).reshape(batch, length, -1))
    return out


def _rms_norm(norm: Any, x_BLD: torch.Tensor) -> torch.Tensor:
    weight = norm.weight.to(x_BLD.dtype)
    if x_BLD.device.type == "cpu":
        normed: torch.Tensor = _RmsNorm.apply(x_BLD, weight, norm.variance_epsilon)
        return normed
    return F.rms_norm(x_BLD, norm.weight.shape, weight, norm.variance_epsilon)


class _RmsNorm(torch.autograd.Function):
    """RMSNorm with its gradient by hand: PyTorch's own has a kernel on GPUs, and on a CPU is a dozen small operations
    that together take a tenth of a small model's step."""

    @staticmethod
    def forward(ctx: Any, x_BLD: torch.Tensor, weight_D: torch.Tensor, epsilon: float) -> torch.Tensor:
        length = torch.linalg.vector_norm(x_BLD, dim=-1, keepdim=True)
        inverse_BL1 = torch.rsqrt(length.square_().div_(x_BLD.shape[-1]).add_(epsilon))
        normed_BLD = x_BLD * inverse_BL1
        ctx.save_for_backward(normed_BLD, inverse_BL1, weight_D)
        return normed_BLD * weight_D

    @staticmethod
    def backward(ctx: Any, grad_BLD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        normed_BLD, inverse_BL1, weight_D = ctx.saved_tensors
        along_BLD = grad_BLD * normed_BLD
        weight_grad_D = along_BLD.flatten(0, -2).sum(dim=0)
        along_BL1 = (along_BLD @ weight_D).div_(weight_D.numel()).unsqueeze(-1)
        x_grad_BLD = grad_BLD * weight_D
        return x_grad_BLD.addcmul_(normed_BLD, along_BL1, value=-1).mul_(inverse_BL1), weight_grad_D, None


class _LinearCrossEntropy(torch.autograd.Function):
    """Cross-entropy of `hidden @ weight.T`, its gradients made in the forward pass, so that each logit is touched as
    seldom as can be and none is kept. The idea is Liger Kernel's (Hsu et al. 2024, arXiv 2410.10989)."""

    @staticmethod
    def forward(ctx: Any, hidden_TD: torch.Tensor, weight_VD: torch.Tensor, targets_T: torch.Tensor) -> torch.Tensor:
        weight = weight_VD.to(hidden_TD.dtype)
        logits_TV = hidden_TD @ weight.T
        if logits_TV.dtype in (torch.bfloat16, torch.float16):
            logits_TV = logits_TV.float()
        largest_T1 = logits_TV.amax(dim=1, keepdim=True)
        of_target_T1 = logits_TV.gather(1, targets_T[:, None]) - largest_T1
        logits_TV.sub_(largest_T1).exp_()
        sums_T1 = logits_TV.sum(dim=1, keepdim=True)
        loss = (sums_T1.log() - of_target_T1).sum()
        logits_TV.div_(sums_T1)
        logits_TV.scatter_add_(1, targets_T[:, None], torch.full_like(of_target_T1, -1.0))
        gradient_TV = logits_TV.to(hidden_TD.dtype)
        ctx.save_for_backward(gradient_TV @ weight, gradient_TV.T @ hidden_TD)
        ctx.weight_dtype = weight_VD.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * grad.to(hidden_grad.dtype), weight_grad.to(ctx.weight_dtype) * grad, None


def summed_cross_entropy(weight_VD: torch.Tensor, hidden_TD: torch.Tensor, targets_T: torch.Tensor) -> torch.Tensor:
    """The summed loss in nats of predicting `targets` by `hidden @ weight.T`, a scalar in fp32 or more."""
    losses: list[torch.Tensor] = [
        _LinearCrossEntropy.apply(hidden, weight_VD, targets)
        for hidden, targets in zip(hidden_TD.split(LOSS_CHUNK_TOKENS), targets_T.split(LOSS_CHUNK_TOKENS), strict=True)
    ]
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()
