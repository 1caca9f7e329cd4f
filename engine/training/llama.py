"""The shorter way through a Llama, which training and scoring take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from engine.training.decoder import IGNORED, Decoder
from engine.training.loss import summed_cross_entropy

# Shape suffixes: B rows, L positions, H heads, K key-value heads, C channels a head, D width, V vocabulary.


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


class LlamaDecoder(Decoder):
    """The parts of a `LlamaForCausalLM`, its own parameters, and the shorter way through them.

    transformers' own forward builds masks, caches and output objects that cost a small model a third of its time.
    Rows attend causally to all before them; right-padding therefore changes nothing to its left.
    tests/engine/training/test_llama.py holds it to transformers' forward, values and gradients.
    """

    def __init__(self, llama: LlamaForCausalLM, context_length: int) -> None:
        super().__init__(llama)
        self.embed_tokens = llama.model.embed_tokens
        self.layers = torch.nn.ModuleList(Block(layer) for layer in llama.model.layers)
        self.norm = llama.model.norm
        self.lm_head = llama.lm_head
        self.rotary = Rotary(llama, context_length)

    @property
    def blocks(self) -> Sequence[torch.nn.Module]:
        return list(self.layers)

    def logits(self, hidden_TD: torch.Tensor) -> torch.Tensor:
        logits_TV: torch.Tensor = self.lm_head(hidden_TD)
        return logits_TV

    def forward(
        self, input_ids_BL: torch.Tensor, targets_BL: torch.Tensor | None = None, *, padded: bool = True
    ) -> torch.Tensor:
        h_BLD = self.embed_tokens(input_ids_BL)
        for block in self.layers:
            h_BLD = block(h_BLD, self.rotary)
        h_BLD = _rms_norm(self.norm, h_BLD)
        if targets_BL is None:
            return h_BLD
        if padded:
            bears_loss = targets_BL != IGNORED
            return summed_cross_entropy(self.lm_head.weight, h_BLD[bears_loss], targets_BL[bears_loss])
        return summed_cross_entropy(self.lm_head.weight, h_BLD.flatten(0, 1), targets_BL.flatten())


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
