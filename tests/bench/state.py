"""What the state costs with many runs: a change of one run, `kitui status`, and a supervisor that finds runs going on.

    python -m tests.bench.state [--runs 10000] [--guards 50] [--rounds 20]

The runs are made up; the guards are real, each with a process that sleeps. A change is durable when it is timed:
written, synced and renamed. `restart`: from the start of the program to all of them adopted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from engine.control.ledger.ledger import Ledger
from engine.control.onhost import guard
from engine.records.processes import LaunchRecord
from engine.records.record import plain
from engine.records.states import RunState, RunStatus, RunSummary, SweepState
from engine.records.workspace import Workspace, write_json
from engine.spec import fact_sets

ADOPT = """
import sys, time
from pathlib import Path
from engine.control.supervisor import Supervisor
from engine.records.workspace import Workspace
supervisor = Supervisor(Workspace(Path(sys.argv[1])))
supervisor.notice_endings()
print(sum(run.is_running for run in supervisor.ledger.runs.values()))
supervisor.ledger.close()
"""


def make(workspace: Workspace, num_runs: int, num_guards: int) -> list[subprocess.Popen[bytes]]:
    """A sweep of so many runs, of which some go on; those are guarded."""
    workspace.create()
    ledger, now_s = Ledger(workspace), time.time()
    ids = [f"nano-7k-f{i}-s0-{i:012x}" for i in range(num_runs)]
    ledger.put_sweep(SweepState(name="made-up", run_ids=tuple(ids), evaluation_id="e", launched_s=now_s))
    summary = RunSummary(status="done", elapsed_s=60, retention=dict.fromkeys(fact_sets.ASKED, 0.5), overall=0.5)
    guards = []
    for i, run_id in enumerate(ids):
        runs = i < num_guards
        ledger.put_run(
            RunState(
                name=run_id, status=RunStatus.RUNNING if runs else RunStatus.DONE, attempt=1, evaluation_id="e",
                slot=f"cpu:{i}" if runs else None, started_s=now_s, results={} if runs else {"e": summary},
            )
        )  # fmt: skip
        if runs:
            folder = workspace.run(run_id)
            folder.root.mkdir()
            write_json(folder.launch, plain(LaunchRecord(attempt=1, argv=("sleep", "600"))))
            guards.append(subprocess.Popen([sys.executable, "-I", guard.__file__, str(folder.root)]))
    ledger.close()
    while len(list(workspace.root.glob("runs/*/guard.json"))) < num_guards:
        time.sleep(0.1)
    return guards


def changes_s(workspace: Workspace, rounds: int) -> float:
    ledger, times = Ledger(workspace), []
    for run_id in [*ledger.runs][-rounds:]:
        began = time.perf_counter()
        ledger.change_run(run_id).attempt += 1
        ledger.flush()
        times.append(time.perf_counter() - began)
    ledger.close()
    return median(times)


def command_s(argv: list[str], rounds: int, workspace: Workspace) -> tuple[float, str]:
    environment = os.environ | {"KITUI_WORKSPACE": str(workspace.root)}
    times, said = [], ""
    for _ in range(rounds):
        began = time.perf_counter()
        said = subprocess.run(argv, capture_output=True, text=True, env=environment, check=True).stdout
        times.append(time.perf_counter() - began)
    return median(times), said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--guards", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "w")
        guards = make(workspace, options.runs, options.guards)
        try:
            few = max(1, options.rounds // 4)
            change = changes_s(workspace, options.rounds)
            status, _ = command_s([sys.executable, "-m", "kitui", "status"], few, workspace)
            restart, adopted = command_s([sys.executable, "-c", ADOPT, str(workspace.root)], few, workspace)
        finally:
            for process in guards:
                process.send_signal(signal.SIGTERM)
            for process in guards:
                process.wait()
    print(
        json.dumps(
            {
                "runs": options.runs, "change_ms": round(1e3 * change, 1),
                "status_s": round(status, 3), "guards_adopted": int(adopted), "restart_s": round(restart, 3),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
