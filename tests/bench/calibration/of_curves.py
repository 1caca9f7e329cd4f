"""F* and F_acq of curves: coverage, errors, widths, false claims and power."""

from __future__ import annotations

import csv
import multiprocessing
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from engine.analysis import collapse as collapse_module
from engine.analysis import profiles
from engine.analysis.collapse import collapses_of
from engine.analysis.curves import gather
from engine.analysis.dead_runs import scatter_of
from engine.analysis.likelihood import Array
from engine.analysis.shapes.linear import LOGIT_TRAPEZOID, TRAPEZOID
from engine.analysis.shapes.logistic import LOGISTIC
from tests.bench.calibration.truths import (
    DESIGNS,
    NEVER,
    TRUTHS,
    Curve,
    Design,
    analysed,
    as_analysed,
    doses_of,
    drawn,
    interval_log2,
    percent,
    true_log2,
)


class Row(NamedTuple):
    """What came of so many curves of one truth and design. Widths and errors are octaves."""

    coverage: float
    rmse: float
    median_width: float
    left_censored: float
    low_fit: float
    """Share whose fit is doubted at 5 %."""


def measured(name: str, design: Design, num: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    levels = [TRUTHS[name](float(rng.uniform(4.8, 6.8)), float(rng.random())) for _ in range(num)]
    found = analysed(drawn(levels, design, rng))
    doses = np.log2(doses_of(design))
    hits, left, doubted, widths, errors = 0, 0, 0, [], []
    for level, collapse in zip(levels, found, strict=True):
        truth, (low, high) = true_log2(as_analysed(level, design), doses), interval_log2(collapse)
        hits += low - 1e-3 <= truth <= high + 1e-3
        left += collapse.point.status == "left_censored" and truth > doses[1]
        doubted += (collapse.point.p_value_fit or 1.0) < 0.05
        widths.append(min(high, doses[-1]) - max(low, doses[0]))
        if collapse.reading is not None and collapse.reading.best_log2 is not None:
            errors.append(collapse.reading.best_log2 - truth)
    rmse = float(np.sqrt(np.mean(np.square(errors))))
    return Row(hits / num, rmse, float(np.median(widths)), left / num, doubted / num)


def curves(num: int, seed: int) -> None:
    heads = ["truth", "design", "coverage", "RMSE", "median width", "left-censored", "fit doubted"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, design in product(TRUTHS, DESIGNS):
        row = measured(name, design, num, seed)
        cells = [name, design.words(), percent(row.coverage, num), f"{row.rmse:.2f}", f"{row.median_width:.2f}"]
        print(f"| {' | '.join([*cells, f'{row.left_censored:.1%}', f'{row.low_fit:.1%}'])} |", flush=True)


CROSSED = ("double logistic", "trapezoid", "tent in logit", "cliff", "Hill fall (no family)", "Gaussian (no family)")


def cross(num: int, seed: int, output: Path | None) -> None:
    """Every combination of doses, seeds, questions, shift and dead runs, and joint sets of the usual designs."""
    designs = [
        Design(num_doses=d, num_seeds=s, num_questions=q, shift_octaves=shift, dead_share=dead)
        for d, s, q, shift, dead in product((8, 12), (2, 3, 5), (300, 3_000), (0.0, 0.3), (0.0, 0.05))
    ]
    designs += [design._replace(is_joint=True) for design in DESIGNS]
    places = list(product(CROSSED, designs))
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork")) as pool:
        rows = list(pool.map(_placed, [(name, design, num, seed) for name, design in places]))
    if output is not None:
        with output.open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["truth", *Design._fields, "num_curves", *Row._fields])
            writer.writerows(
                [name, *d, num, *(round(v, 4) for v in r)] for (name, d), r in zip(places, rows, strict=True)
            )
    _summary(places, rows, num)


def _placed(arguments: tuple[str, Design, int, int]) -> Row:
    return measured(*arguments)


def _summary(places: Sequence[tuple[str, Design]], rows: Sequence[Row], num: int) -> None:
    heads = ["truth", "conditions", "coverage, mean", "least", "left-censored, most", "fit doubted, mean"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in CROSSED:
        for is_joint in (False, True):
            of = [r for (n, d), r in zip(places, rows, strict=True) if n == name and d.is_joint == is_joint]
            coverage = np.array([r.coverage for r in of])
            cells = [name + (", joint" if is_joint else ""), str(len(of)), f"{coverage.mean():.1%}"]
            cells += [percent(float(coverage.min()), num), f"{max(r.left_censored for r in of):.1%}"]
            print(f"| {' | '.join([*cells, f'{np.mean([r.low_fit for r in of]):.1%}'])} |")
    print("\n| factor | value | coverage, mean | median width |\n|---|---|---|---|")
    singles = [(d, r) for (_, d), r in zip(places, rows, strict=True) if not d.is_joint]
    for field in ("num_doses", "num_seeds", "num_questions", "shift_octaves", "dead_share"):
        for value in sorted({getattr(d, field) for d, _ in singles}):
            of = [r for d, r in singles if getattr(d, field) == value]
            width = np.median([r.median_width for r in of])
            print(f"| {field} | {value:g} | {np.mean([r.coverage for r in of]):.1%} | {width:.2f} |")


def falls(num: int, seed: int) -> None:
    print("| truth | design | collapses claimed |\n|---|---|---|")
    for name, level in NEVER.items():
        for design in (*DESIGNS, Design(is_joint=True)):
            if design.is_joint and name != "rises, then flat":
                continue
            found = analysed(drawn([level] * num, design, np.random.default_rng(seed)))
            claimed = sum(collapse.point.status in ("observed", "left_censored") for collapse in found)
            print(f"| {name} | {design.words()} | {percent(claimed / num, num)} |", flush=True)


_FAMILY = {"double logistic": LOGISTIC, "trapezoid": TRAPEZOID, "tent in logit": LOGIT_TRAPEZOID}


def rivals(num: int, seed: int) -> None:
    """RMSE of F* beside what others would take for it; the width beside that of one who knows the family."""
    design, doses = Design(), np.log2(doses_of(Design()))
    print("| truth | kitui | argmax | knee | broken line | width / oracle's |\n|---|---|---|---|---|---|")
    for name, make in TRUTHS.items():
        rng = np.random.default_rng(seed)
        levels = [make(float(rng.uniform(4.8, 6.8)), float(rng.random())) for _ in range(num)]
        observations = drawn(levels, design, rng)
        truths = np.array([true_log2(level, doses) for level in levels])
        found = analysed(observations)
        means = [_means(curve, doses) for curve in gather(observations)]
        ours = np.array(
            [c.reading.best_log2 if c.reading and c.reading.best_log2 is not None else np.nan for c in found]
        )
        others = [np.array([rival(doses, m) for m in means]) for rival in (_argmax, _knee, _broken_line)]
        cells = [
            f"{np.sqrt(np.nanmean((r - truths) ** 2)):.2f} ({np.isnan(r).mean():.0%} none)" for r in (ours, *others)
        ]
        widths = _widths(found, doses)
        ratio = f"{np.median(widths) / np.median(_oracle(name, observations, doses)):.2f}" if name in _FAMILY else "–"
        print(f"| {name} | {' | '.join([*cells, ratio])} |", flush=True)
    _power(num, seed)


def _widths(found: Sequence[Any], doses: Array) -> Array:
    ends = [interval_log2(c) for c in found]
    return np.array([min(high, doses[-1]) - max(low, doses[0]) for low, high in ends])


def _oracle(name: str, observations: list[Any], doses: Array) -> Array:
    """Widths of one who fits the true family alone."""
    shapes, free = collapse_module.SHAPES, profiles.CLIFF_FREE
    collapse_module.SHAPES, profiles.CLIFF_FREE = (_FAMILY[name],), 10**6
    try:
        return _widths(analysed(observations), doses)
    finally:
        collapse_module.SHAPES, profiles.CLIFF_FREE = shapes, free


def _means(curve: Any, doses: Array) -> Array:
    return np.array([np.mean([o.retention for o in curve.at(f)]) for f in curve.frequencies])


def _argmax(doses: Array, means: Array) -> float:
    return float(doses[np.argmax(means)])


def _knee(doses: Array, means: Array) -> float:
    """`pip install kneed`: the knee of what falls, from the highest dose on."""
    from kneed import KneeLocator

    best = int(np.argmax(means))
    if len(doses) - best < 3:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        knee = KneeLocator(doses[best:], means[best:], curve="concave", direction="decreasing").knee
    return float("nan") if knee is None else float(knee)


def _broken_line(doses: Array, means: Array) -> float:
    """`pip install piecewise-regression`: two segments, their breakpoint."""
    import piecewise_regression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            results = piecewise_regression.Fit(doses, means, n_breakpoints=1, verbose=False).get_results()
        except (ValueError, np.linalg.LinAlgError):
            return float("nan")
    estimates = results.get("estimates") if results else None
    return float(estimates["breakpoint1"]["estimate"]) if estimates else float("nan")


def _power(num: int, seed: int) -> None:
    """A plateau that falls in one step by so many standard deviations of a single seed."""
    design = Design()
    level = 0.8
    p = 0.25 + 0.75 * level
    seed_sd = np.sqrt(p * (1 - p) / design.num_questions * (1 + (design.num_questions - 1) * design.rho)) / 0.75
    print("\n| drop, seed SDs | drop | fall found (p < .05) | F* claimed |\n|---|---|---|---|")
    for sds in (2, 3, 4, 5):
        drop = float(sds * seed_sd)
        levels: list[Curve] = [lambda x, drop=drop: np.where(x <= 6.5, level, level - drop)] * num  # type: ignore[misc]
        found = analysed(drawn(levels, design, np.random.default_rng(seed)))
        gate = np.mean([(c.point.p_value_no_collapse or 1.0) < 0.05 for c in found])
        claimed = np.mean([c.point.status == "observed" for c in found])
        cells = [str(sds), f"{drop / level:.0%}", percent(float(gate), num), percent(float(claimed), num)]
        print(f"| {' | '.join(cells)} |", flush=True)


RISES: dict[str, Any] = {
    "logistic": lambda c: lambda x: 0.95 * expit((x - c) / 0.5),
    "steep logistic": lambda c: lambda x: 0.95 * expit((x - c) / 0.15),
    "step": lambda c: lambda x: np.where(x < c, 0.05, 0.95),
    "linear": lambda c: lambda x: np.interp(x, [c - 1.5, c + 0.5], [0.05, 0.95]),
    "slow logistic (no family)": lambda c: lambda x: 0.95 * expit((x - c) / 1.0) ** 1.5,
}


def acquired(num: int, seed: int, target: float = 0.8) -> None:
    print("| rise | design | F_acq held |\n|---|---|---|")
    for name, design in product(RISES, (Design(), Design(num_seeds=2), Design(num_questions=3_000))):
        rng = np.random.default_rng(seed)
        levels = [RISES[name](float(rng.uniform(3.0, 6.0))) for _ in range(num)]
        observations = drawn(levels, design, rng, "infused")
        of_set = [c for c in gather(observations) if c.fact_set == "infused"]
        found = collapses_of(of_set, scatter_of(of_set), target_retention=target)
        fine, held = np.linspace(2, 9, 20_001), 0
        for level, collapse in zip(levels, found, strict=True):
            truth = float(fine[np.argmax(level(fine) >= target)])
            low, high = interval_log2(collapse._replace(reading=collapse.acquisition))
            held += low - 1e-3 <= truth <= high + 1e-3
        print(f"| {name} | {design.words()} | {percent(held / num, num)} |", flush=True)
