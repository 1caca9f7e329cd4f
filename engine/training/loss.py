"""The loss: cross-entropy of the output layer's logits, of which none is kept."""

from __future__ import annotations

from typing import Any

import torch

from engine.spec.models import LOSS_CHUNK_TOKENS

# Shape suffixes: T tokens, D width, V vocabulary.


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
