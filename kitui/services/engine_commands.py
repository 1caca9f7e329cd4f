"""What the engine does in processes of its own: plan a sweep file, analyse a sweep, measure this machine's speed.

PyTorch and SciPy stay out of the program that way; what such a process found wrong reads as if it had been found here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING

import msgspec
import orjson

from engine.control.children.child import ONE_THREAD
from engine.errors import KituiError, LaunchError, SpecError
from engine.records.analysis import AnalysisDocument, LawsDocument, Progress, read_analysis
from engine.records.digests import is_law_behind
from engine.records.losses import LossLawDocument
from engine.records.measures import USUAL, Measured
from engine.records.plan import Plan
from engine.records.raw_bundle import RawBundle
from engine.records.record import decoded, encoded
from engine.records.verified import VerifiedDocument
from engine.records.workspace import Workspace
from engine.spec.fact_sets import NAMES, OVERALL, UNSEEN
from kitui.services.locked import with_scores
from kitui.services.sweeps import known_sweep

if TYPE_CHECKING:
    from engine.records.bundle import SweepBundle
    from engine.records.forecast import Probe


class PlannedSweep:
    """A sweep file, planned. It is resolved once, by the corpus command; what is only handed on stays as it came."""

    def __init__(self, raw: RawBundle) -> None:
        self.raw = raw

    @cached_property
    def plan(self) -> Plan:
        return self.raw.read_plan()

    @cached_property
    def of_sizes(self) -> SweepBundle:
        """One run of each model size, validated, and no cells: for whoever asks what a size takes."""
        from engine.records.bundle import whole_bundle  # models of sweep files, which viewers do without

        return whole_bundle(self.raw.of_sizes())


def as_saved(planned: PlannedSweep, path: Path) -> PlannedSweep:
    """A sweep that was planned as a draft, now that the draft is saved in this file."""
    text = path.read_text(encoding="utf-8-sig")
    return PlannedSweep(msgspec.structs.replace(planned.raw, sweep_toml=text, origin=str(path.resolve())))


def plan_sweep(path: Path, workspace: Workspace, *, many: bool = False) -> PlannedSweep:
    """Everything about a sweep file, by the corpus command; of more cells than usual where `many` are meant. Raises
    what it found wrong."""
    if not path.exists():
        raise SpecError("there is no such sweep file.", value=str(path), mend="kitui init writes one.")
    arguments = [str(path), "--workspace", str(workspace.root), *(["--yes-many"] if many else [])]
    output = run_engine(["engine.corpus.prepare", "plan", *arguments])
    return PlannedSweep(decoded(RawBundle, output))


Report = Callable[[int, int], None]
"""Is told how much of how much is done."""


def analysis(
    workspace: Workspace,
    sweep: str,
    fact_set: str = "overall",
    *,
    target_retention: float | None = None,
    measured: Measured = USUAL,
    report: Report | None = None,
) -> AnalysisDocument:
    """The sweep's analysis: law.json where it is current, else the fit command's; with what was locked beforehand."""
    _, folder, plan = known_sweep(workspace, sweep)
    is_of_overall = fact_set == "overall" and measured.is_usual
    is_the_kept_one = is_of_overall and target_retention in (None, plan.analysis.target_retention)
    document = read_analysis(folder.law) if is_the_kept_one and not is_law_behind(plan, workspace) else None
    if document is None:
        target = [] if target_retention is None else ["--target-retention", str(target_retention)]
        of_measure = ["--measure", measured.measure, "--checkpoints", str(measured.num_checkpoints)]
        command = ["engine.analysis.fit", str(folder.root), "--fact-set", fact_set, *target, *of_measure]
        document = decoded(AnalysisDocument, run_engine(command, report=report))
    if not is_of_overall:  # what is locked is said of overall retention
        return document
    return with_scores(workspace, document)


def laws_of_sets(
    workspace: Workspace, sweep: str, *, measured: Measured = USUAL, report: Report | None = None
) -> LawsDocument:
    """The sweep by each fact set that was asked."""
    first = analysis(workspace, sweep, measured=measured, report=report)
    asked = {curve.fact_set for curve in first.curves if any(point.n for point in curve.points)}
    others = [name for name in NAMES if name in asked - {OVERALL.name, UNSEEN.name}]
    laws = [analysis(workspace, sweep, name, measured=measured, report=report).law for name in others]
    return LawsDocument(sweep=first.sweep, simulated=first.simulated, fact_sets=(first.law, *laws))


def loss_law(table: Path, columns: Mapping[str, str], report: Report | None = None) -> LossLawDocument:
    """The law of a table's losses, by its command; `columns`: what some of our columns are called there."""
    given = orjson.dumps(dict(columns)).decode()
    return decoded(
        LossLawDocument, run_engine(["engine.analysis.loss_law", "--columns", given, "--", str(table)], report=report)
    )


def verify(workspace: Workspace, names: Sequence[str]) -> VerifiedDocument:
    """What is damaged of these sweeps, by the verifying command."""
    return decoded(VerifiedDocument, run_engine(["engine.corpus.verify", str(workspace.root), *names]))


def probe(workspace: Workspace, planned: PlannedSweep) -> Probe:
    """This machine's training speed at the sweep's shapes, measured unless it has been."""
    from engine.records.forecast import Probe

    return decoded(Probe, run_engine(["engine.training.probe", str(workspace.root)], encoded(planned.of_sizes)))


def run_engine(arguments: list[str], given: bytes | None = None, report: Report | None = None) -> bytes:
    """Run an engine command; its standard output, or the error it found. What it reports of its progress is handed on
    as it comes."""
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.PIPE if given is not None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | ONE_THREAD,
        start_new_session=True,  # Ctrl-C is for this process, which ends that one with all that it started
    ) as process:
        errors: list[str] = []
        listening = Thread(target=_listen, args=(process.stderr, errors, report), daemon=True)
        listening.start()
        try:
            if process.stdin is not None:
                with suppress(BrokenPipeError):  # it ended before it read all: what it says counts
                    process.stdin.write(given or b"")
                    process.stdin.close()
            assert process.stdout is not None
            output = process.stdout.read()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        listening.join()
    if process.returncode == 0:
        return output
    try:
        error = orjson.loads(output)
    except orjson.JSONDecodeError:
        if process.returncode == -signal.SIGKILL or (errors and errors[-1].startswith("MemoryError")):
            raise LaunchError(f"{arguments[0]} had not enough memory.", mend="Ask for less, or free some.") from None
        what = f"{arguments[0]} failed: {errors[-1] if errors else f'exit code {process.returncode}'}"
        raise LaunchError(what, mend="Please report this.") from None
    raise KituiError.from_json(error)


def _listen(pipe: IO[bytes] | None, errors: list[str], report: Report | None) -> None:
    """Read standard error to its end: reports of progress are handed on, other lines that say something are kept."""
    for line in pipe or ():
        with suppress(msgspec.MsgspecError):
            progress = msgspec.json.decode(line, type=Progress)
            if report is not None:
                with suppress(OSError, ValueError):  # a bar that cannot be drawn stops no work
                    report(progress.done, progress.of)
            continue
        if text := line.decode(errors="replace").strip():
            errors.append(text)
