"""Laws of F*, laws of losses, and the tests of what matters."""

from __future__ import annotations

import msgspec
import numpy as np
from scipy.special import expit

from engine.analysis import loss_law as losses_module
from engine.analysis.curves import Observation, gather, observation_of_counts
from engine.analysis.law import fit_law
from engine.analysis.law_document import curve_record
from engine.analysis.law_fit import parameters, predict
from engine.analysis.law_points import LawPoint, Profile
from engine.analysis.likelihood import Array
from engine.analysis.mechanism import mechanism
from engine.analysis.paired import Member, paired_effect, pairs_of
from engine.records.conditions import Condition
from tests.bench.calibration.truths import percent


def laws(num: int, seed: int) -> None:
    heads = ["truth", "sizes", "scatter", "censored", "refused", "exponent held", "prediction held", "median width, ln"]
    print(f"| {' | '.join([*heads, 'right form or tied'])} |\n|{'---|' * 9}")
    for truth in ("power", "bounded"):
        for num_sizes in (4, 5, 8):
            for scatter in (0.05, 0.1, 0.3):
                for censored in (0.0, 0.2, 0.4):
                    print(_law_row(truth, num_sizes, scatter, censored, num, np.random.default_rng(seed)), flush=True)


_CEILING, _ERROR = 250.0, 0.12


def _law_row(truth: str, num_sizes: int, scatter: float, censored: float, num: int, rng: np.random.Generator) -> str:
    refused = held_exponent = num_exponents = held = right = 0
    widths: list[float] = []
    for _ in range(num):
        points, target, true = _law_points(truth, num_sizes, scatter, censored, rng)
        result = fit_law(points, declared_form=truth, is_checked=False)
        if result.law is None:
            refused += 1
            continue
        low, high = predict(result.law, target, 1e8, _CEILING, result.others).interval
        held += low <= np.exp(true) <= high
        widths.append(float(np.log(high) - np.log(max(low, 1e-9))))
        tied = [c.form for c in result.candidates if c.aicc <= min(x.aicc for x in result.candidates) + 2]
        right += result.law.form.name == truth or truth in tied
        if truth == "power" and result.law.form.name == "power":
            interval = parameters(result.law)["exponent_params"].interval
            num_exponents += 1
            held_exponent += interval[0] <= 0.25 <= interval[1]
    fitted = num - refused
    row = [truth, str(num_sizes), str(scatter), f"{censored:.0%}", str(refused)]
    row.append(percent(held_exponent / num_exponents, num_exponents) if num_exponents else "–")
    if fitted:
        row += [percent(held / fitted, fitted), f"{np.median(widths):.2f}", f"{right / fitted:.0%}"]
    return f"| {' | '.join([*row, '–', '–', '–'][:9])} |"


def _law_points(
    truth: str, num_sizes: int, scatter: float, censored: float, rng: np.random.Generator
) -> tuple[list[LawPoint], float, float]:
    """Sizes a factor of 2 apart, each known to ±12 %; what lies beyond the last dose is censored. The target is 8 times
    the largest; its true ln F* comes with a scatter of its own."""
    sizes = 1e6 * 2.0 ** np.arange(num_sizes)
    target = 8 * sizes[-1]

    def of(size: Array, noise: Array) -> Array:
        """ln F*; the scatter of a bounded truth is one of the logit."""
        if truth == "power":
            return np.asarray(np.log(50) + 0.25 * np.log(size / 1e6) + scatter * noise)
        return np.asarray(np.log(_CEILING * expit(-1.2 + 0.45 * np.log(size / 1e6) + scatter * noise)))

    last = np.log(1_000) if not censored else float(np.quantile(of(sizes, np.zeros(num_sizes)), 1 - censored)) + 0.05
    grid = np.linspace(np.log(4), last, 193)
    points = []
    for size, at in zip(
        sizes, of(sizes, rng.standard_normal(num_sizes)) + _ERROR * rng.standard_normal(num_sizes), strict=True
    ):
        loglik = np.maximum(-0.5 * ((grid - at) / _ERROR) ** 2, -50)
        beyond = 0.0 if at > last else max(-0.5 * float((last - at) / _ERROR) ** 2, -50)
        profile = Profile(grid, loglik, -50.0, beyond)
        points.append(LawPoint(float(size), 1e8, profile, None if at > last else float(at), _CEILING))
    return points, float(target), float(of(np.array([target]), rng.standard_normal(1))[0])


def effects(num: int, seed: int) -> None:
    """Nulls: both groups have the same mean curve, and whole curves err by `scatter`."""
    print("| test | pairs | scatter of whole curves | alarms at 5 % |\n|---|---|---|---|")
    for num_sizes in (3, 4, 8):
        for scatter in (0.0, 0.05, 0.1):
            rng = np.random.default_rng(seed)
            alarms = [_alarms(num_sizes, scatter, rng) for _ in range(num)]
            for name, share in zip(("templates", "mechanism"), np.mean(alarms, axis=0), strict=True):
                print(f"| {name} | {num_sizes} | {scatter:g} | {percent(float(share), num)} |", flush=True)


def _alarms(num_sizes: int, scatter: float, rng: np.random.Generator) -> tuple[bool, bool]:
    groups = [(1, "infused"), (8, "infused"), (1, "neutral")]
    observations: list[Observation] = []
    for size in range(num_sizes):
        for templates, fill in groups:
            condition = Condition(num_params=1_000 * (size + 1), num_tokens=10**6, templates=templates, fill=fill)
            whole = scatter * rng.standard_normal()
            for frequency in (2, 8, 32, 128):
                for run in range(3):
                    p = 0.25 + 0.75 * float(np.clip(0.7 - 0.002 * frequency + whole, 0.01, 0.99))
                    correct = int(rng.binomial(300, rng.beta(99 * p, 99 * (1 - p))))
                    observations.append(observation_of_counts(condition, frequency, run, "prior", correct, 300, 4))
    curves = gather(observations)
    of_templates = pairs_of(
        [Member(c, None) for c in curves if c.condition.fill == "infused"],
        lambda condition: condition.templates,
        lambda condition: msgspec.structs.replace(condition, templates=None),
        (1, 8),
    )
    of_arms = mechanism([curve_record(c) for c in curves], ())
    assert of_arms is not None
    return paired_effect(of_templates).p < 0.05, of_arms.p < 0.05


_LOSS_TRUTH = np.array([6.17, 7.67, 0.597, 0.347, 0.367])


def losses(num: int, seed: int) -> None:
    """63 points of 9 sizes and 7 budgets; errors of ln L as given."""
    names = ("A", "B", "E", "alpha", "beta")
    print(f"| error of ln L | {' | '.join(f'{name} held' for name in names)} |\n|---|---|---|---|---|---|")
    for error in (0.002, 0.01):
        rng, held = np.random.default_rng(seed), np.zeros(len(names))
        for _ in range(num):
            found = losses_module.loss_law("", losses_module.Losses(_losses(error, rng), 0)).law
            assert found is not None
            for k, name in enumerate(names):
                low, high = found.parameters[name].interval
                truth = np.exp(_LOSS_TRUTH[k]) if k < 3 else _LOSS_TRUTH[k]
                held[k] += (low or -np.inf) <= truth <= (high or np.inf)
        print(f"| {error:.1%} | {' | '.join(percent(float(h) / num, num) for h in held)} |", flush=True)


def _losses(error: float, rng: np.random.Generator) -> list[losses_module.LossPoint]:
    log_a, log_b, log_e, alpha, beta = _LOSS_TRUTH
    points = []
    for size in np.geomspace(5e7, 1.5e10, 9):
        for tokens in np.geomspace(1e9, 3e11, 7):
            loss = np.exp(log_e) + np.exp(log_a) / size**alpha + np.exp(log_b) / tokens**beta
            loss *= np.exp(error * rng.standard_normal())
            points.append(losses_module.LossPoint(len(points), float(size), float(tokens), float(loss)))
    return points
