"""What the engine does in processes of its own: plan a sweep file, analyse a sweep, measure this machine's speed.

PyTorch and SciPy stay out of the program that way; what such a process found wrong reads as if it had been found here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import orjson

from engine.control.children.child import ONE_THREAD
from engine.errors import KituiError, LaunchError, SpecError
from engine.records.analysis import AnalysisDocument, read_analysis
from engine.records.digests import is_law_behind
from engine.records.plan import Plan
from engine.records.raw_bundle import RawBundle
from engine.records.record import decoded, encoded
from engine.records.verified import VerifiedDocument
from engine.records.workspace import Workspace
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
    output = _run(["engine.corpus.prepare", "plan", *arguments])
    return PlannedSweep(decoded(RawBundle, output))


def analysis(
    workspace: Workspace, sweep: str, fact_set: str = "overall", *, target_retention: float | None = None
) -> AnalysisDocument:
    """The sweep's analysis: law.json where it is current, else the fit command's."""
    _, folder, plan = known_sweep(workspace, sweep)
    is_the_kept_one = fact_set == "overall" and target_retention in (None, plan.analysis.target_retention)
    if is_the_kept_one and not is_law_behind(plan, workspace):
        document = read_analysis(folder.law)
        if document is not None:
            return document
    target = [] if target_retention is None else ["--target-retention", str(target_retention)]
    return decoded(AnalysisDocument, _run(["engine.analysis.fit", str(folder.root), "--fact-set", fact_set, *target]))


def verify(workspace: Workspace, names: Sequence[str]) -> VerifiedDocument:
    """What is damaged of these sweeps, by the verifying command."""
    return decoded(VerifiedDocument, _run(["engine.corpus.verify", str(workspace.root), *names]))


def probe(workspace: Workspace, planned: PlannedSweep) -> Probe:
    """This machine's training speed at the sweep's shapes, measured unless it has been."""
    from engine.records.forecast import Probe

    return decoded(Probe, _run(["engine.training.probe", str(workspace.root)], encoded(planned.of_sizes)))


def _run(arguments: list[str], given: bytes | None = None) -> bytes:
    """Run an engine command; its standard output, or the error it found."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], input=given, capture_output=True, env=os.environ | ONE_THREAD, check=False
    )
    if done.returncode == 0:
        return done.stdout
    try:
        error = orjson.loads(done.stdout)
    except orjson.JSONDecodeError:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        if done.returncode == -signal.SIGKILL or (last and last[-1].startswith("MemoryError")):
            raise LaunchError(f"{arguments[0]} had not enough memory.", mend="Ask for less, or free some.") from None
        what = f"{arguments[0]} failed: {last[-1] if last else f'exit code {done.returncode}'}"
        raise LaunchError(what, mend="Please report this.") from None
    raise KituiError.from_json(error)
