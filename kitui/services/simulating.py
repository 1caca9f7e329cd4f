"""`kitui simulate`: a synthetic sweep with a known truth, for trying the analysis out."""

from __future__ import annotations

import re

from engine.errors import SpecError
from engine.records.workspace import Workspace
from engine.spec.numbers import parse_axis, parse_number

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
) -> None:
    """Draw the sweep and keep it under `name`, labelled simulated. SpecError for a law or axis not understood."""
    from engine.analysis.imports import row_of, write_sweep
    from engine.analysis.simulate import Truth, power_law, simulate
    from engine.spec.sweep import check_name

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
    truth = Truth(
        collapse=collapse,
        sizes=_axis(sizes, "--sizes", smallest=1),
        frequencies=_axis(frequencies, "--frequencies", smallest=0),
        num_seeds=num_seeds,
        num_questions=num_questions,
    )
    observations = simulate(truth, seed)
    write_sweep(observations, [row_of(o) for o in observations], name, workspace, simulated=True, replace=replace)


def _axis(text: str, option: str, *, smallest: int) -> list[int]:
    try:
        # A call such as geom(1, 512, 10) holds commas of its own.
        parts = [text] if "(" in text else [p for p in text.split(",") if p.strip()]
        values = parse_axis(parts)
    except ValueError as error:
        raise SpecError(f"{error}.", key=option, value=text) from None
    if not values or any(not isinstance(v, int) or v < smallest for v in values):
        raise SpecError(f"expected whole numbers, {smallest} or more.", key=option, value=text)
    return [int(v) for v in values]
