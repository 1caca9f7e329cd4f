"""`kitui logs`: a run's log and events, in order."""

from __future__ import annotations

import time

from engine.records.processes import ExitRecord, LaunchRecord
from engine.records.record import read_record
from engine.records.workspace import RunFolder, Workspace
from kitui.services.run_log import RunLog
from kitui.services.sweeps import known_run


def print_log(workspace: Workspace, run: str, *, follow: bool) -> None:
    """The run's own output, then its events and scores in order; with `follow`, on and on."""
    folder = workspace.run(known_run(workspace, run))
    log = RunLog(folder)
    while True:
        ended = _has_ended(folder)  # looked at before the last reading, so that nothing is missed
        while lines := log.read_new():
            print("\n".join(lines), flush=True)
        if not follow or ended:
            break
        time.sleep(0.3)


def _has_ended(folder: RunFolder) -> bool:
    """Whether the last attempt that was launched is over."""
    launch, ending = read_record(LaunchRecord, folder.launch), read_record(ExitRecord, folder.exit)
    return launch is None or (ending is not None and ending.attempt == launch.attempt)
