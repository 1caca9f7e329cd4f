"""Predictions that were locked: `predictions/<id>.json` in the workspace, written once and never again.

They outlive the sweep whose law made them: what was said beforehand is not to go with what it was said of.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec

from engine.errors import DamageError, StateError
from engine.records.analysis import AnalysisDocument, Prediction
from engine.records.conditions import LawCondition
from engine.records.record import SCHEMA_VERSION, Record, encoded, read_record, write_record
from engine.records.workspace import Workspace

_ID_LENGTH = 10


class LockedPrediction(Record, frozen=True, kw_only=True):
    """What was said, when, and from what."""

    schema_version: int = SCHEMA_VERSION
    id: str = ""
    """Given when it is kept, by all but the time: the same said twice is one prediction."""
    locked_at: str = ""
    """UTC, ISO 8601; given when it is kept."""
    sweep: str
    simulated: bool
    law_condition: LawCondition
    form: str
    equation: str
    prediction: Prediction
    baseline_frequency: float
    """F* of the largest size that was fitted."""
    baseline_params: float
    evidence: str
    """SHA-256 of the retention curves that the law was fitted to."""
    analysis_semantics: int


def evidence_digest(analysis: AnalysisDocument) -> str:
    """A name for all results that an analysis was made of."""
    digest = hashlib.sha256()
    for curve in analysis.curves:
        digest.update(encoded(curve))
    return digest.hexdigest()


def lock(workspace: Workspace, said: LockedPrediction) -> LockedPrediction:
    """Keep it, with its id and the time; where the same was locked before, that one stands. StateError where it cannot
    be kept."""
    name = hashlib.sha256(encoded(said)).hexdigest()[:_ID_LENGTH]
    known = {one.id: one for one in locked_predictions(workspace)[0]}
    if name in known:
        return known[name]
    locked = msgspec.structs.replace(said, id=name, locked_at=datetime.now(UTC).isoformat(timespec="seconds"))
    path = workspace.predictions / f"{name}.json"
    if path.exists():
        raise StateError("what was locked here before is damaged.", where=str(path), mend="Move it away to lock anew.")
    try:
        workspace.predictions.mkdir(mode=0o700, exist_ok=True)
        write_record(path, locked)
        path.chmod(0o400)
    except OSError as error:
        raise StateError(f"the prediction cannot be kept: {error.strerror}.", where=str(path)) from None
    return locked


def locked_predictions(workspace: Workspace) -> tuple[list[LockedPrediction], list[DamageError]]:
    """All of them, the oldest first; and what is wrong with those that are not what was written."""
    found, faults = [], []
    for path in sorted(workspace.predictions.glob("*.json")):
        try:
            one = read_record(LockedPrediction, path)
        except DamageError as error:
            faults.append(error)
            continue
        if one is not None:
            found.append(one)
    return sorted(found, key=lambda one: one.locked_at), faults
