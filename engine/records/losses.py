"""Laws of losses, as `kitui law --loss` has them."""

from __future__ import annotations

from engine.records.analysis import Parameter
from engine.records.record import SCHEMA_VERSION, Record


class LossCheck(Record, frozen=True, kw_only=True):
    """The losses of the largest size, predicted without them: ln(predicted / found), their mean."""

    num_params: float
    num_points: int
    mean_error_ln: float
    distance: float
    """How many times larger it is than the largest that was left."""


class LossLaw(Record, frozen=True, kw_only=True):
    """L = E + A / N^alpha + B / D^beta, fitted to so many points; errors are absolute ones of ln L."""

    parameters: dict[str, Parameter]
    """`optimal_params_exponent`: of the best size for a compute budget C, N ∝ C^(beta / (alpha + beta))."""
    equation: str
    num_points: int
    median_error: float
    largest_error: float
    leave_largest_out: LossCheck | None


class LossLawDocument(Record, frozen=True, kw_only=True):
    """`kitui law --loss TABLE --json`."""

    schema_version: int = SCHEMA_VERSION
    table: str
    num_points: int
    num_empty: int
    """Rows without a loss."""
    law: LossLaw | None = None
    outlying_lines: tuple[int, ...] = ()
    """Lines of points that lie far from the law of all others."""
    without_outliers: LossLaw | None = None
    reason: str | None = None
