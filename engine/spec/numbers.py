"""Numbers and axes as people write them: `3B`, `100k`, `geom(1, 512, 10)`, `linspace`, `range`, lists of these."""

from __future__ import annotations

import re
from typing import Any

_SUFFIXES = {"k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6, "b": 1e9, "B": 1e9, "g": 1e9, "G": 1e9, "T": 1e12, "t": 1e12}
_NUMBER = re.compile(r"([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([kKmMbBgGtT]?)")
_CALL = re.compile(r"(\w+)\s*\(([^()]*)\)")
_FUNCTIONS = ("geom", "linspace", "range")
_MAX_AXIS_LENGTH = 10_000
LARGEST_NUMBER, LARGEST_COUNT, LARGEST_SEED = 1e30, 10**15, 2**63 - 1
"""Nothing that is asked for here is larger: FLOP, tokens, and seeds, which may be made of anything."""


def parse_number(value: Any) -> float | int:
    """A number from a number or from text such as '3e9', '3B', '137M', '100k', '1_000'. ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("expected a number such as 300000, 3e5 or 300k")
    if isinstance(value, (int, float)):
        number: float = value
    else:
        match = _NUMBER.fullmatch(value.strip())
        if not match:
            raise ValueError("expected a number such as 300000, 3e5 or 300k")
        number = float(match[1].replace("_", "")) * _SUFFIXES.get(match[2], 1)
    if number != number or abs(number) == float("inf"):
        raise ValueError("expected a finite number")
    if abs(number) > LARGEST_NUMBER:
        raise ValueError(f"expected a number of at most {LARGEST_NUMBER:.0e}")
    # 2.3M in binary floating point is 2299999.9999999995: what a suffix makes is meant as a whole number.
    nearest_whole = round(number)
    return nearest_whole if abs(number - nearest_whole) <= 1e-9 * abs(number) else number


def parse_count(value: Any, most: int = LARGEST_COUNT) -> int:
    """A whole number, zero or more, in any of `parse_number`'s forms."""
    number = parse_number(value)
    if not isinstance(number, int) or number < 0:
        raise ValueError("expected a whole number, zero or more")
    if number > most:
        raise ValueError(f"expected a whole number of at most {most:.3g}")
    return number


def parse_seed(value: Any) -> int:
    """A whole number of 63 bits, zero or more."""
    return parse_count(value, LARGEST_SEED)


def parse_axis(value: Any) -> list[float | int]:
    """The values of a numeric axis, in the order given, each once.

    `value` is a number, an expression or a list of either. `geom(a, b, n)` and `linspace(a, b, n)` include both
    ends; `range(a, b[, step])` is Python's and leaves b out. Counts made by `geom` and `linspace` are rounded
    where both ends are whole numbers.
    """
    values: list[float | int] = []
    for item in value if isinstance(value, (list, tuple)) else [value]:
        call = _CALL.fullmatch(item.strip()) if isinstance(item, str) else None
        values.extend(_expand(call[1], call[2]) if call else [parse_number(item)])
    if len(values) > _MAX_AXIS_LENGTH:
        raise ValueError(f"{len(values):,} values; an axis may have {_MAX_AXIS_LENGTH:,}")
    return list(dict.fromkeys(values))


def parse_count_axis(value: Any, smallest: int = 0, most: int = LARGEST_COUNT) -> tuple[int, ...]:
    """An axis of whole numbers from `smallest` to `most`."""
    values = parse_axis(value)
    if not values:
        raise ValueError("the list is empty: give at least one value")
    if any(not isinstance(v, int) or v < smallest for v in values):
        above = {0: "zero or more", 1: "above zero"}.get(smallest, f"{smallest} or more")
        raise ValueError(f"expected whole numbers, {above}")
    if max(values) > most:
        raise ValueError(f"expected whole numbers of at most {most:.3g}")
    return tuple(int(v) for v in values)


def _expand(function: str, arguments: str) -> list[float | int]:
    if function not in _FUNCTIONS:
        raise ValueError(f"unknown function {function}(); known: geom(a, b, n), linspace(a, b, n), range(a, b, step)")
    args = [parse_number(part) for part in arguments.split(",")] if arguments.strip() else []
    if function == "range":
        if len(args) not in (1, 2, 3) or not all(isinstance(a, int) for a in args) or (len(args) == 3 and args[2] == 0):
            raise ValueError("range takes whole numbers: range(stop), range(start, stop) or range(start, stop, step)")
        if any(abs(a) > LARGEST_SEED for a in args):
            raise ValueError(f"expected whole numbers of at most {LARGEST_SEED:.3g}")
        whole = range(*[int(a) for a in args])
        if len(whole) > _MAX_AXIS_LENGTH:
            raise ValueError(f"{len(whole):,} values; an axis may have {_MAX_AXIS_LENGTH:,}")
        return list(whole)
    if len(args) != 3 or not isinstance(args[2], int) or not 1 <= args[2] <= _MAX_AXIS_LENGTH:
        raise ValueError(f"{function} takes a first value, a last value and how many: {function}(1, 512, 10)")
    first, last, num = args[0], args[1], int(args[2])
    if function == "geom" and (first <= 0 or last <= 0):
        raise ValueError('geom needs both ends above zero; list 0 beside it: [0, "geom(1, 512, 10)"]')
    steps = [i / max(1, num - 1) for i in range(num)]
    if function == "geom":
        spread: list[float] = [first * (last / first) ** t for t in steps]
    else:
        spread = [first + (last - first) * t for t in steps]
    if isinstance(first, int) and isinstance(last, int):
        return [round(v) for v in spread]
    return spread


def format_count(number: float) -> str:
    """A number as short as its size allows, three significant digits: 3B, 100k, 12.6k, 48."""
    for suffix, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= scale * 0.9995:
            return f"{number / scale:.3g}{suffix}"
    return f"{number:.3g}"
