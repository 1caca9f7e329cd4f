"""What one curve says to a law."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.analysis.likelihood import Array


class Profile(NamedTuple):
    """The profile likelihood of a frequency: log-likelihoods relative to the best, on a grid of ln F within the tested
    doses, and of its lying below the first (an acquisition) or beyond the last (a collapse point)."""

    log_frequency: Array
    loglik: Array
    below: float
    beyond: float

    def at_most(self) -> Profile:
        """The evidence that the frequency lies at the best place or anywhere below it: what a curve says that falls
        from its first dose on."""
        best = int(np.argmax(self.loglik))
        below = np.arange(len(self.loglik)) <= best
        return self._replace(loglik=np.where(below, 0.0, self.loglik), below=0.0)


class LawPoint(NamedTuple):
    """One curve's evidence. `observed` marks a verdict of `observed`; `log_frequency` is then ln F*."""

    num_params: float
    num_tokens: float
    profile: Profile
    log_frequency: float | None
    ceiling: float | None

    @property
    def observed(self) -> bool:
        return self.log_frequency is not None
