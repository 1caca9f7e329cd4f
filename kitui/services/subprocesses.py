"""Commands of kitui's own in a process beside the app, which never loads SciPy."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec

from engine.control.children.child import ONE_THREAD
from engine.errors import KituiError
from engine.records.analysis import PredictionDocument
from engine.records.record import decoded
from engine.records.workspace import Workspace


def predict_beside(
    workspace: Workspace, sweep: str, *, params: str, tokens: str | None, where: str | None
) -> PredictionDocument:
    """By `kitui predict`: what it says is what anybody can get from the command line. KituiError has its words where it
    refuses."""
    argv = [sys.executable, "-m", "kitui", "predict", sweep, "--params", params, "--json"]
    argv += ["--workspace", str(workspace.root)]
    argv += ["--tokens", tokens] if tokens else []
    argv += ["--where", where] if where else []
    done = subprocess.run(argv, capture_output=True, env=os.environ | ONE_THREAD, check=False)
    try:
        return decoded(PredictionDocument, done.stdout)
    except msgspec.MsgspecError:
        words = done.stderr.decode(errors="replace").strip().removeprefix("error: ")
        raise KituiError(words) from None
