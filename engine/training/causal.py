"""Any other causal language model of transformers, by its own forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from engine.errors import DataError
from engine.spec.models import LOSS_CHUNK_TOKENS
from engine.training.decoder import IGNORED, Decoder
from engine.training.loss import summed_cross_entropy

_CHECKED_TOKENS, _ROUNDING = 8, 1e-5


class CausalDecoder(Decoder):
    """A model as transformers runs it, but for the output layer, which is applied only where logits are wanted.

    Dropout is off: a run is then the same each time, and after a resume. DataError for a model that sees what comes
    after, or whose logits are more than its output layer gives.
    """

    def __init__(self, causal_lm: Any) -> None:
        super().__init__(causal_lm)
        self.model = causal_lm
        config = causal_lm.config
        self._softcap = getattr(config, "final_logit_softcapping", None)
        self._scale = getattr(config, "logit_scale", None) or 1 / (getattr(config, "logits_scaling", None) or 1)
        head = causal_lm.get_output_embeddings()
        self._is_plain = head.bias is None and self._softcap is None and self._scale == 1
        self.eval()
        self._check()

    @property
    def blocks(self) -> Sequence[torch.nn.Module]:
        lists = [module for module in self.model.modules() if isinstance(module, torch.nn.ModuleList)]
        return list(max(lists, key=len, default=[]))

    def train(self, mode: bool = True) -> CausalDecoder:
        """Dropout stays off."""
        super().train(False)
        return self

    def logits(self, hidden_TD: torch.Tensor) -> torch.Tensor:
        logits_TV: torch.Tensor = self.model.get_output_embeddings()(hidden_TD) * self._scale
        return logits_TV if self._softcap is None else self._softcap * torch.tanh(logits_TV / self._softcap)

    def forward(
        self, input_ids_BL: torch.Tensor, targets_BL: torch.Tensor | None = None, *, padded: bool = True
    ) -> torch.Tensor:
        hidden_BLD: torch.Tensor = self.model.base_model(input_ids=input_ids_BL, use_cache=False).last_hidden_state
        if targets_BL is None:
            return hidden_BLD
        bears_loss = targets_BL != IGNORED
        hidden_TD, targets_T = hidden_BLD[bears_loss], targets_BL[bears_loss]
        if self._is_plain:
            return summed_cross_entropy(self.model.get_output_embeddings().weight, hidden_TD, targets_T)
        pieces = zip(hidden_TD.split(LOSS_CHUNK_TOKENS), targets_T.split(LOSS_CHUNK_TOKENS), strict=True)
        # Of half precision in single, as transformers does; of double precision in double.
        wide = torch.promote_types(hidden_TD.dtype, torch.float32)
        losses = [F.cross_entropy(self.logits(h).to(wide), targets, reduction="sum") for h, targets in pieces]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def _check(self) -> None:
        ids_BL = torch.arange(2 * _CHECKED_TOKENS, device=self.device).view(2, -1) % self.model.config.vocab_size
        ids_BL[1] = ids_BL[0]
        ids_BL[1, -1] += 1  # rows that differ in their last token alone
        theirs_BLV = self.model(input_ids=ids_BL, use_cache=False).logits
        ours_BLV = self.logits(self(ids_BL).flatten(0, 1)).view_as(theirs_BLV)
        kind = self.model.config.model_type
        differs_by = (theirs_BLV[0, :-1] - theirs_BLV[1, :-1]).abs().max()
        if differs_by > _ROUNDING * theirs_BLV.abs().max():
            raise DataError("it sees what comes after: it is no causal language model.", key="init_from", value=kind)
        if not torch.allclose(theirs_BLV, ours_BLV, atol=1e-4, rtol=1e-4):
            raise DataError("its logits are more than its output layer gives.", key="init_from", value=kind)
