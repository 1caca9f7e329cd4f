"""`kitui simulate`: a synthetic sweep with a known truth, for trying the analysis out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from engine.errors import SpecError
from engine.records.plan import TruePoint
from engine.records.workspace import Workspace
from engine.spec.numbers import LARGEST_COUNT, parse_count_axis, parse_number

_SMALLEST_COLLAPSE = 1e-6
_LAW = re.compile(r"\s*([^*]+?)\s*\*\s*\(\s*N\s*/\s*([^)]+?)\s*\)\s*(?:\^|\*\*)\s*(\S+)\s*")


def simulate_sweep(
    workspace: Workspace,
    name: str,
    *,
    law_text: str,
    sizes: str,
    frequencies: str,
    num_seeds: int,
    num_questions: int,
    seed: int,
    replace: bool,
    many: bool = False,
) -> None:
    """Draw the sweep and keep it under `name`, labelled simulated. SpecError for a law or axis not understood."""
    from engine.analysis.import_rows import row_of
    from engine.analysis.imports import write_sweep
    from engine.analysis.simulate import Truth, power_law, simulate
    from engine.spec.names import check_name
    from engine.spec.sweep import check_num_cells

    check_name(name, key="--name")
    collapse = None
    if law_text.strip().lower() != "none":
        match = _LAW.fullmatch(law_text)
        try:
            if not match:
                raise ValueError("expected COEFFICIENT * (N / REFERENCE) ^ EXPONENT, or none")
            coefficient, reference, exponent = (float(parse_number(part)) for part in match.groups())
        except ValueError as error:
            raise SpecError(f"{error}.", key="--law", value=law_text) from None
        if coefficient <= 0 or reference <= 0:
            raise SpecError("coefficient and reference lie above zero.", key="--law", value=law_text)
        collapse = power_law(coefficient, exponent, reference)
    size_axis = _axis(sizes, "--sizes", smallest=1)
    if collapse is not None:
        _check_law(collapse, size_axis, law_text)
    frequency_axis = _axis(frequencies, "--frequencies", smallest=0)
    if not any(frequency_axis):
        raise SpecError("expected a frequency above zero.", key="--frequencies", value=frequencies)
    num_cells = len(size_axis) * len(frequency_axis) * num_seeds
    check_num_cells(num_cells, many=many, key="--sizes, --frequencies, --seeds")
    truth = Truth(
        collapse=collapse,
        sizes=size_axis,
        frequencies=frequency_axis,
        num_seeds=num_seeds,
        num_questions=num_questions,
    )
    observations = simulate(truth, seed)
    points = tuple(
        TruePoint(num_params=size, frequency=None if collapse is None else float(collapse(size)))
        for size in sorted(set(size_axis))
    )
    write_sweep(
        observations, [row_of(o) for o in observations], name, workspace, simulated=True, replace=replace, truth=points
    )


def _check_law(collapse: Callable[[float], float], sizes: Sequence[int], law_text: str) -> None:
    for size in (min(sizes), max(sizes)):
        try:
            frequency = collapse(size)
        except OverflowError:
            frequency = math.inf
        if not _SMALLEST_COLLAPSE <= frequency <= LARGEST_COUNT:
            what = f"its F* at N = {size:,} is {frequency:.3g}, out of all range."
            raise SpecError(what, key="--law", value=law_text)


def _axis(text: str, option: str, *, smallest: int) -> list[int]:
    try:
        # A call such as geom(1, 512, 10) holds commas of its own.
        parts = [text] if "(" in text else [p for p in text.split(",") if p.strip()]
        return [*parse_count_axis(parts, smallest)]
    except ValueError as error:
        raise SpecError(f"{error}.", key=option, value=text) from None
