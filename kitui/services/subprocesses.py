"""Commands of kitui's own in a process beside the app, which never loads SciPy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from engine.control.children.child import ONE_THREAD
from engine.errors import KituiError
from engine.records.analysis import PredictionDocument
from engine.records.record import decoded
from engine.records.workspace import Workspace


def predict_beside(
    workspace: Workspace, sweep: str, *, params: str, tokens: str | None, where: str | None, fact_set: str
) -> PredictionDocument:
    """By `kitui predict`: what it says is what anybody can get from the command line. KituiError has its words where it
    refuses."""
    argv = [sys.executable, "-m", "kitui", "predict", sweep, "--params", params, "--json"]
    argv += ["--workspace", str(workspace.root)]
    argv += ["--tokens", tokens] if tokens else []
    argv += ["--where", where] if where else []
    argv += ["--fact-set", fact_set]
    done = _beside(argv)
    try:
        return decoded(PredictionDocument, done.stdout)
    except msgspec.MsgspecError:
        raise KituiError(_complaint(done)) from None


def figure_beside(workspace: Workspace, sweep: str, kind: str, path: Path, *, fact_set: str) -> None:
    """By `kitui figure`: drawing takes more to load than the app does. KituiError has its words where it refuses."""
    argv = [sys.executable, "-m", "kitui", "figure", sweep, kind, "--output", str(path), "--fact-set", fact_set]
    done = _beside([*argv, "--workspace", str(workspace.root)])
    if done.returncode:
        raise KituiError(_complaint(done))


def _beside(argv: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, capture_output=True, env=os.environ | ONE_THREAD, check=False)


def _complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode(errors="replace").strip().removeprefix("error: ")
