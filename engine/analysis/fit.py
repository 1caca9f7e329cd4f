"""The analysis command: a sweep's results in, its `law.json` out.

    python -m engine.analysis.fit SWEEP_FOLDER [--fact-set SET]      prints the analysis; writes law.json for `overall`
    python -m engine.analysis.fit SWEEP_FOLDER --follow PID          as long as that parent lives: writes law.json
                                                                     whenever a run ends

What is shown as "the law" anywhere is this document: `curves`, and `law` in the form of `kitui law --json`. How far it
is, is said on standard error, a line `{"done": …, "of": …}` whenever curves have been fitted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.analysis.command import answer, report_progress
from engine.analysis.follow import Ownership, follow, keep
from engine.analysis.side_by_side import fit_on_all_cores
from engine.analysis.sweep_analysis import SweepAnalysis
from engine.errors import KituiError
from engine.records.analysis import AnalysisDocument
from engine.records.measures import ANALYSED, USUAL, Measured
from engine.records.workspace import SweepFolder, Workspace
from engine.spec import fact_sets
from engine.spec.fact_sets import OVERALL


def run_once(
    folder: SweepFolder,
    workspace: Workspace,
    fact_set: str = OVERALL.name,
    target_retention: float | None = None,
    measured: Measured = USUAL,
) -> AnalysisDocument:
    """Analyse now; the sweep's own analysis is kept as law.json too, unless a resident follower owns that."""
    analysis = SweepAnalysis(folder, workspace, fit_on_all_cores(report_progress))
    document = analysis.document(fact_set, target_retention, measured)
    if fact_set == OVERALL.name and target_retention is None and measured.is_usual:
        with Ownership(folder) as owned:
            if owned:
                keep(folder, document)
    return document


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.analysis.fit")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fact-set", choices=fact_sets.NAMES, default="overall")
    parser.add_argument("--target-retention", type=float)
    parser.add_argument("--measure", choices=ANALYSED, default=USUAL.measure)
    parser.add_argument("--checkpoints", type=int, default=USUAL.num_checkpoints, help="the last scorings of each run")
    parser.add_argument("--follow", type=int, metavar="PID", help="stay as long as this parent lives")
    options = parser.parse_args(arguments)
    root = options.folder.resolve()
    folder, workspace = SweepFolder(root), Workspace(root.parent.parent)
    if options.follow is not None:
        try:
            follow(folder, workspace, options.follow)
        except KituiError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        return 0
    measured = Measured(options.measure, options.checkpoints)
    return answer(lambda: run_once(folder, workspace, options.fact_set, options.target_retention, measured))


if __name__ == "__main__":
    sys.exit(main())
