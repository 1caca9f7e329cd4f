"""What training and scoring ask of a model, whatever its architecture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch

IGNORED = -100
"""A target that bears no loss."""

# Shape suffixes: B rows, L positions, T tokens, D width, V vocabulary.


class Decoder(torch.nn.Module):
    """A causal language model of transformers, `causal_lm`, and the way through it that is taken here. Rows attend
    causally to all before them; right-padding therefore changes nothing to its left."""

    def __init__(self, causal_lm: Any) -> None:
        super().__init__()
        self._causal_lm = (causal_lm,)  # in a tuple: as a submodule, it would have all parameters a second time

    @property
    def causal_lm(self) -> Any:
        return self._causal_lm[0]

    @property
    def device(self) -> torch.device:
        device: torch.device = self.causal_lm.device
        return device

    @property
    @abstractmethod
    def blocks(self) -> Sequence[torch.nn.Module]:
        """Its layers, among which FSDP divides it."""

    @abstractmethod
    def logits(self, hidden_TD: torch.Tensor) -> torch.Tensor:
        """Of final hidden states, [T, V]."""

    @abstractmethod
    def forward(
        self, input_ids_BL: torch.Tensor, targets_BL: torch.Tensor | None = None, *, padded: bool = True
    ) -> torch.Tensor:
        """The final normalised hidden states, [B, L, D]; or, given targets, their summed loss in nats, a scalar.
        Where the targets are `padded`, those that are `IGNORED` bear no loss."""
