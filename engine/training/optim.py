"""AdamW with fused updates, and the learning rate of each step."""

from __future__ import annotations

import math

import torch

from engine.spec.sweep import StagesSettings, TrainingSettings


def make_optimizer(model: torch.nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW; matrices decay, norms do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(settings.beta1, settings.beta2), fused=True)


def learning_rate_at(
    step: int,
    *,
    peak: float,
    num_steps: int,
    settings: TrainingSettings,
    stages: StagesSettings | None,
    stage_one_steps: int,
) -> float:
    """The learning rate of a step (from 0): linear warm-up, then the schedule's fall to its final share over the first
    stage; the second stage's own constant rate after it."""
    if stages and step >= stage_one_steps:
        return stages.learning_rate
    last = stage_one_steps if stages else num_steps
    warmup = math.ceil(settings.warmup_share * last)
    if step < warmup:
        return peak * (step + 1) / warmup
    if settings.schedule == "constant":
        return peak
    progress = (step - warmup) / max(1, last - 1 - warmup)
    fall = 0.5 * (1 + math.cos(math.pi * progress)) if settings.schedule == "cosine" else 1 - progress
    return peak * (settings.final_learning_rate_share + (1 - settings.final_learning_rate_share) * fall)
