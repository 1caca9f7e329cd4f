"""Which runs have been scored with which questions: by the state, or by a result that lies there without it knowing."""

from __future__ import annotations

from engine.control.ledger import transitions
from engine.control.ledger.ledger import Ledger
from engine.errors import DamageError, StateError
from engine.records.results import read_result
from engine.records.workspace import Workspace


class Results:
    """Which runs have results, on disk and in the state."""

    def __init__(self, workspace: Workspace, ledger: Ledger) -> None:
        self._workspace, self._ledger = workspace, ledger

    def has(self, run_id: str, evaluation_id: str) -> bool:
        """Whether a run is scored with these questions. A result that the state does not know of (trained before the
        state was lost, or copied in) is taken in."""
        run = self._ledger.runs.get(run_id)
        if run is not None and (evaluation_id in run.results or run.is_running):
            return evaluation_id in run.results
        try:
            result = read_result(self._workspace.run(run_id).result(evaluation_id))
        except DamageError:  # it is made again, as one that is not there
            return False
        if result is None:
            return False
        transitions.find_result(self._ledger, run_id, evaluation_id, result)
        return True

    def fault(self, run_id: str, evaluation_id: str) -> str | None:
        """What is wrong with the result on disk of a run that the state has as scored, if anything is."""
        run = self._ledger.runs.get(run_id)
        if run is None or not run.status.is_scored or evaluation_id not in run.results:
            return None
        try:
            result = read_result(self._workspace.run(run_id).result(evaluation_id))
        except DamageError as error:
            return str(error)
        except StateError:  # it cannot be read now, which says nothing of what it is
            return None
        return "its result is gone" if result is None else None

    def is_over(self, run_id: str, evaluation_id: str) -> bool:
        """Whether nothing more is to come of a run for a sweep with these questions."""
        status = self._ledger.runs[run_id].status
        return status.is_ended and (not status.is_scored or self.has(run_id, evaluation_id))
