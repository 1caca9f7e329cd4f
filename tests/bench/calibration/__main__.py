"""See the package."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.bench.calibration import of_curves, of_laws

WHAT = {
    "curves": of_curves.curves,
    "falls": of_curves.falls,
    "rivals": of_curves.rivals,
    "acquired": of_curves.acquired,
    "laws": of_laws.laws,
    "effects": of_laws.effects,
    "losses": of_laws.losses,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=[*WHAT, "cross"])
    parser.add_argument("--draws", type=int, default=200, help="curves, laws or sweeps of each condition")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="of the cross: a CSV with a row for each condition")
    options = parser.parse_args()
    if options.what == "cross":
        of_curves.cross(options.draws, options.seed, options.output)
    else:
        WHAT[options.what](options.draws, options.seed)


if __name__ == "__main__":
    main()
