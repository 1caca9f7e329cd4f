"""What one curve says to a law."""

from __future__ import annotations

from typing import NamedTuple

from engine.analysis.fitting import Profile


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
