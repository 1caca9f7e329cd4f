"""The law of losses: L(N, D) = E + A / N^α + B / D^β, the form of Hoffmann et al. 2022 (arXiv 2203.15556).

    python -m engine.analysis.loss_law TABLE [--columns '{"num_params": "Model Size"}']

It is fitted as there, and with the cares of Besiroglu et al. 2024 (arXiv 2404.10102): Huber loss on ln L with
δ = 1e-3, from many starts (few lead to the optimum), by a robust Gauss–Newton method, which does not stop early on a
small objective as theirs did. Intervals are percentiles of a bootstrap over the points, as if these were independent.

Shape suffixes: n points, 5 coefficients (ln A, ln B, ln E, α, β).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from scipy.optimize import least_squares
from scipy.special import logsumexp, softmax

from engine.analysis.command import answer, report_progress
from engine.analysis.likelihood import Array, Index
from engine.errors import DataError, together
from engine.records.analysis import Parameter
from engine.records.losses import LossCheck, LossLaw, LossLawDocument
from engine.spec.numbers import parse_number
from engine.spec.tables import columns_of, mapped, read_rows

HUBER_DELTA = 1e-3
_FLOPS_PER_PARAM_AND_TOKEN = 6
_GRID = ((0, 5, 10, 15, 20), (0, 5, 10, 15, 20), (-1, 0, 1), (0.1, 0.35, 0.7, 1.2), (0.1, 0.35, 0.7, 1.2))
"""Starts: values of each coefficient."""
_NUM_CLIMBS, _MAX_STEPS, _NUM_RESAMPLES, _REPORT_EVERY = 20, 200, 500, 10
_SD_OF_MEDIAN = 1.4826
_OUTLYING = 12.0
"""Standard deviations from the law at which a point is one of another kind."""
_NUM_COEFFICIENTS = 5
_COLUMNS = ("num_params", "num_tokens", "flops", "loss")
_ALIKE = 0.02
"""Of ln N and ln D: sizes or budgets that differ by less are one, rounded."""
_NOTHING = 1e-4
"""Of a loss: a term that is smaller everywhere is not there."""
_LARGEST_CORRELATION = 0.99


class LossPoint(NamedTuple):
    line: int
    num_params: float
    num_tokens: float
    loss: float


class Losses(NamedTuple):
    """What a table has. `num_empty`: rows without a loss, as crashed runs leave them."""

    points: list[LossPoint]
    num_empty: int


def read_losses(path: Path, columns: Mapping[str, str] | None = None) -> Losses:
    """A table with `num_params`, `num_tokens` (or `flops`, training compute C: then D = C / 6N) and `loss`; `columns`
    says what they are called there, or the one value that they have. DataError names line, column and value of every
    bad row."""
    header = columns_of(path, key="--loss")
    theirs, constants = mapped(columns or {}, header, _COLUMNS)
    is_there = {ours: ours in theirs or ours in constants or ours in header for ours in _COLUMNS}
    extent = "flops" if "flops" in theirs or (not is_there["num_tokens"] and is_there["flops"]) else "num_tokens"
    names = {ours: theirs.get(ours, ours) for ours in ("num_params", extent, "loss") if ours not in constants}
    if missing := [name for name in names.values() if name not in header]:
        what = f"the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing here."
        raise DataError(what, where=str(path), value=", ".join(header), mend=f"Needed: {', '.join(names.values())}.")
    points, faults, num_empty = [], [], 0
    for line, row in read_rows(path, key="--loss", required=()):
        whole = {ours: row.get(name) for ours, name in names.items()} | constants
        if str(whole["loss"]).strip().lower() in ("", "none", "nan", "null"):
            num_empty += 1
            continue
        try:
            needed = ("num_params", extent, "loss")
            values = {ours: _positive(path, line, names.get(ours, ours), whole[ours]) for ours in needed}
        except DataError as error:
            faults.append(error)
            continue
        size = values["num_params"]
        compute = values.get("flops")
        tokens = values["num_tokens"] if compute is None else compute / (_FLOPS_PER_PARAM_AND_TOKEN * size)
        points.append(LossPoint(line, size, tokens, values["loss"]))
    if faults:
        raise together(faults)
    return Losses(points, num_empty)


def _positive(path: Path, line: int, column: str, value: object) -> float:
    try:
        number = float(parse_number(str(value)))
        if not (math.isfinite(number) and number > 0):
            raise ValueError("expected a number above zero")
    except ValueError as error:
        raise DataError(f"{error}.", where=f"{path}, line {line}", key=column, value=value) from None
    return number


def loss_law(
    table: str, losses: Losses, seed: int = 0, report: Callable[[int, int], None] = lambda *_: None
) -> LossLawDocument:
    """The law of a table's losses with its intervals, and without its outlying points; or the reason why there is
    none. `report` is told how many laws of how many are fitted."""
    points = losses.points
    document = LossLawDocument(table=table, num_points=len(points), num_empty=losses.num_empty)
    reason = _refusal(points)
    if reason is not None:
        return msgspec.structs.replace(document, reason=reason)
    reason = _lacking(_best(data := _Data.of(points)), data)
    if reason is not None:
        return msgspec.structs.replace(document, reason=reason)
    kept = _without_outliers(points)
    is_other = len(kept) < len(points) and _refusal(kept) is None
    num_laws = _NUM_RESAMPLES * (2 if is_other else 1)
    lines = {p.line for p in points} - {p.line for p in kept}
    return msgspec.structs.replace(
        document,
        law=_law(points, seed, lambda done: report(done, num_laws)),
        outlying_lines=tuple(sorted(lines)) if is_other else (),
        without_outliers=(_law(kept, seed, lambda done: report(_NUM_RESAMPLES + done, num_laws)) if is_other else None),
    )


def _law(points: Sequence[LossPoint], seed: int, report: Callable[[int], None]) -> LossLaw:
    data = _Data.of(points)
    best = _best(data)
    errors = np.abs(_residuals(best, data))
    return LossLaw(
        parameters=_parameters(best, _resampled(data, best, np.random.default_rng(seed), report)),
        equation=_equation(best),
        num_points=len(points),
        median_error=float(np.median(errors)),
        largest_error=float(errors.max()),
        leave_largest_out=_without_largest(points),
    )


def _without_outliers(points: Sequence[LossPoint]) -> list[LossPoint]:
    """The points that lie within so many standard deviations (by the median, which outliers do not move) of a law of
    such points alone."""
    kept = list(points)
    while _refusal(kept) is None:
        data = _Data.of(kept)
        errors = np.abs(_residuals(_best(data), data))
        near = errors <= _OUTLYING * _SD_OF_MEDIAN * np.median(errors)
        if near.all():
            break
        kept = [point for point, is_near in zip(kept, near, strict=True) if is_near]
    return kept


def _refusal(points: Sequence[LossPoint]) -> str | None:
    if len(points) < 2 * _NUM_COEFFICIENTS:
        return f"{len(points)} losses cannot carry {_NUM_COEFFICIENTS} coefficients: at least {2 * _NUM_COEFFICIENTS}"
    logs = np.log([[p.num_params, p.num_tokens] for p in points])
    num_sizes, num_budgets = (len(np.unique(np.round(column / _ALIKE))) for column in logs.T)
    if min(num_sizes, num_budgets) < 3:
        return f"model sizes: {num_sizes}, token budgets: {num_budgets}; at least 3 of both are needed"
    correlation = float(np.corrcoef(logs.T)[0, 1])
    if abs(correlation) > _LARGEST_CORRELATION:
        how = "rise with model sizes (D = kN)" if correlation > 0 else "fall as model sizes rise (one compute budget)"
        return f"token budgets {how}: what is due to N cannot be told from what is due to D"
    return None


def _lacking(best: Array, data: _Data) -> str | None:
    """Where a term of the law is nothing at all points, words for that."""
    shares = np.exp(_terms(best, data) - data.log_loss_n).max(axis=1)
    lacking = [name for name, share in zip(("size", "budget"), shares, strict=False) if share < _NOTHING]
    return f"no fall of the loss with {' or '.join(lacking)} was found" if lacking else None


class _Data(NamedTuple):
    log_params_n: Array
    log_tokens_n: Array
    log_loss_n: Array

    @staticmethod
    def of(points: Sequence[LossPoint]) -> _Data:
        return _Data(*np.log(np.array([p[1:] for p in points], dtype=float)).T)

    def at(self, rows: Index) -> _Data:
        return _Data(*(column[rows] for column in self))


def _terms(theta: Array, data: _Data) -> Array:
    """ln of the law's three terms, [3, n]; of many laws [B, 5], [B, 3, n]."""
    log_a, log_b, log_e, alpha, beta = np.moveaxis(theta[..., None], -2, 0)
    terms = [log_a - alpha * data.log_params_n, log_b - beta * data.log_tokens_n]
    return np.stack([*terms, np.broadcast_to(log_e, terms[0].shape)], axis=-2)


def _log_mean(theta: Array, data: _Data) -> Array:
    return np.asarray(logsumexp(_terms(theta, data), axis=-2))


def _residuals(theta: Array, data: _Data) -> Array:
    """ln of the law's losses less ln of those found; of many laws [B, 5], [B, n]."""
    return np.asarray(_log_mean(theta, data) - data.log_loss_n)


def _slopes(theta: Array, data: _Data) -> Array:
    """The residuals' derivatives, [n, 5]."""
    by_a, by_b, by_e = softmax(_terms(theta, data), axis=0)
    return np.stack([by_a, by_b, by_e, -data.log_params_n * by_a, -data.log_tokens_n * by_b], axis=1)


def _climb(start: Array, data: _Data) -> tuple[float, Array]:
    found = least_squares(
        _residuals,
        start,
        _slopes,
        args=(data,),
        loss="huber",
        f_scale=HUBER_DELTA,
        x_scale="jac",
        ftol=1e-10,
        xtol=1e-10,
        gtol=1e-12,
        max_nfev=_MAX_STEPS,
    )
    return float(found.cost), found.x


def _best(data: _Data) -> Array:
    grid = np.array(list(product(*_GRID)), dtype=float)
    heights = np.abs(_residuals(grid, data)).sum(axis=1)  # of residuals far over δ, Huber's loss
    return min((_climb(grid[i], data) for i in np.argsort(heights)[:_NUM_CLIMBS]), key=lambda found: found[0])[1]


def _resampled(data: _Data, best: Array, rng: np.random.Generator, report: Callable[[int], None]) -> Array:
    """The laws of resampled points, [R, 5]."""
    num, found = len(data.log_loss_n), []
    for done in range(_NUM_RESAMPLES):
        if done % _REPORT_EVERY == 0:
            report(done)
        found.append(_climb(best, data.at(rng.integers(0, num, num)))[1])
    return np.stack(found)


def _parameters(best: Array, draws: Array) -> dict[str, Parameter]:
    """A, B, E, α, β, and the exponent of the best size for a compute budget, N ∝ C^(β / (α + β))."""

    def named(theta: Array) -> dict[str, Array]:
        log_a, log_b, log_e, alpha, beta = theta.T
        exponents = {"alpha": alpha, "beta": beta, "optimal_params_exponent": beta / (alpha + beta)}
        return {"A": np.exp(log_a), "B": np.exp(log_b), "E": np.exp(log_e), **exponents}

    ends = {name: np.percentile(values, (2.5, 97.5)) for name, values in named(draws).items()}
    return {
        name: Parameter(value=float(value), interval=(float(ends[name][0]), float(ends[name][1])))
        for name, value in named(best).items()
    }


def _equation(best: Array) -> str:
    log_a, log_b, log_e, alpha, beta = best
    return f"L = {np.exp(log_e):.4g} + {np.exp(log_a):.4g} / N^{alpha:.3g} + {np.exp(log_b):.4g} / D^{beta:.3g}"


def _without_largest(points: Sequence[LossPoint]) -> LossCheck | None:
    """Predict the losses of the largest size from all others."""
    largest = max(p.num_params for p in points)
    rest, left_out = [p for p in points if p.num_params < largest], [p for p in points if p.num_params == largest]
    if _refusal(rest) is not None:
        return None
    errors = _residuals(_best(_Data.of(rest)), _Data.of(left_out))
    return LossCheck(
        num_params=largest,
        num_points=len(left_out),
        mean_error_ln=float(errors.mean()),
        distance=largest / max(p.num_params for p in rest),
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.analysis.loss_law")
    parser.add_argument("table", type=Path)
    parser.add_argument("--columns", type=msgspec.json.decode, default={}, help="what our columns are called there")
    options = parser.parse_args(arguments)
    table, columns = options.table, options.columns
    return answer(lambda: loss_law(str(table), read_losses(table, columns), report=report_progress))


if __name__ == "__main__":
    sys.exit(main())
