"""A simulated workspace for measuring the app: many runs with a thousand metric lines each, some of them running.

    python -m tests.bench.tui.workspace FOLDER [--runs 10000] [--lines 1000] [--running 8]

Nothing is trained. The grid has 8 sizes × 50 frequencies × 25 seeds at 10,000 runs; scores are those of
`kitui simulate`; metrics come from 50 different made-up learning curves, each written into many runs' folders as
files of their own. The sweep is called `simulated-load` and its plan says simulated = true.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from engine.analysis.fit import run_once
from engine.control.ledger.ledger import Ledger
from engine.records.metrics import EventRecord, RetentionRecord, SetScore, StepRecord
from engine.records.plan import PlannedCell, read_plan
from engine.records.record import encoded, plain
from engine.records.states import RunState, RunStatus, RunSummary, SweepState
from engine.records.workspace import Workspace, write_json
from kitui.services.rows import Scores
from kitui.services.runs import foreign_scores
from kitui.services.simulating import simulate_sweep

SWEEP = "simulated-load"
NUM_SIZES, NUM_SEEDS, NUM_QUESTIONS = 8, 25, 256
NUM_TOKENS = 1_000_000
EVALUATION = "simulated"


def make(root: Path, *, num_runs: int, num_lines: int, num_running: int) -> Workspace:
    workspace = Workspace(root)
    workspace.create()
    num_frequencies = max(1, num_runs // (NUM_SIZES * NUM_SEEDS))
    simulate_sweep(
        workspace, SWEEP, law_text="80 * (N / 40k) ^ 0.3", sizes=",".join(f"{10 * 2**i}k" for i in range(NUM_SIZES)),
        frequencies=f"range(4, {4 * num_frequencies + 4}, 4)", num_seeds=NUM_SEEDS, num_questions=NUM_QUESTIONS, seed=0,
        replace=True,
    )  # fmt: skip
    folder = workspace.sweep(SWEEP)
    run_once(folder, workspace, "overall", None)
    plan = read_plan(folder.plan)
    assert plan is not None
    write_json(folder.plan, plain(msgspec.structs.replace(plan, evaluation_id=EVALUATION)))
    _write_state(workspace, plan.cells, foreign_scores(folder, plan), num_running)
    _write_metrics(workspace, plan.cells, num_lines, num_running)
    return workspace


def _write_state(
    workspace: Workspace, cells: Sequence[PlannedCell], scores: Mapping[str, Scores], num_running: int
) -> None:
    ledger, now_s = Ledger(workspace), time.time()
    ledger.put_sweep(
        SweepState(
            name=SWEEP, run_ids=tuple(c.run_id for c in cells), evaluation_id=EVALUATION, slots=8, max_attempts=3,
            prepared=True, launched_s=now_s - 3600, eta_at_s=now_s + 3600,
        )
    )  # fmt: skip
    for i, cell in enumerate(cells):
        running = i < num_running
        status = RunStatus.RUNNING if running else RunStatus.FAILED if i % 997 == 0 else RunStatus.DONE
        retention = scores.get(cell.run_id, {})
        summary = RunSummary(
            status="done", elapsed_s=60.0, tokens_per_s=9000.0, trained_tokens=NUM_TOKENS,
            overall=retention.get("overall"), background_loss=3.0, background_epochs=1.0, prior_exposures=37.0,
            retention={name: value for name, value in retention.items() if name != "overall"},
        )  # fmt: skip
        ledger.put_run(
            RunState(
                name=cell.run_id, status=status, attempt=1, reason="out of memory" if status.is_trouble else "",
                slot=f"cpu:{i}" if running else None, started_s=now_s, evaluation_id=EVALUATION,
                results={EVALUATION: summary} if status is RunStatus.DONE else {},
            )
        )  # fmt: skip
    ledger.close()


def _write_metrics(workspace: Workspace, cells: Sequence[PlannedCell], num_lines: int, num_running: int) -> None:
    contents = [curve(seed, num_lines) for seed in range(50)]
    for i, cell in enumerate(cells):
        folder = workspace.run(cell.run_id)
        folder.root.mkdir()
        lines = contents[i % len(contents)]
        folder.metrics.write_bytes(b"".join(lines[: len(lines) // 2] if i < num_running else lines))


def curve(seed: int, num_lines: int) -> list[bytes]:
    """The lines of one made-up run: a score after every fifty steps."""
    chance = random.Random(seed)
    records: list[bytes] = [encoded(EventRecord(attempt=1, step=0, name="started", time_s=0.0)) + b"\n"]
    for step in range(1, num_lines):
        share = step / num_lines
        if step % 50 == 0:
            records.append(encoded(score(step, int(NUM_TOKENS * share), share * 0.9 + chance.gauss(0, 0.02))) + b"\n")
        else:
            records.append(
                encoded(step_record(step, int(NUM_TOKENS * share), 7 - 3 * share + chance.gauss(0, 0.1))) + b"\n"
            )
    return records


def step_record(step: int, num_tokens: int, loss: float) -> StepRecord:
    return StepRecord(
        attempt=1, step=step, num_tokens=num_tokens, loss=loss, learning_rate=0.01, gradient_norm=1.0,
        tokens_per_s=9000.0,
    )  # fmt: skip


def score(step: int, num_tokens: int, level: float) -> RetentionRecord:
    correct = round(NUM_QUESTIONS * (0.25 + 0.75 * max(0.0, min(1.0, level))))
    sets = {
        name: SetScore(
            num_questions=NUM_QUESTIONS, num_choices=4, correct=correct, correct_norm=correct, mean_logprob=-1.0
        )
        for name in ("infused", "prior")
    }
    return RetentionRecord(
        attempt=1, step=step, num_tokens=num_tokens, evaluation_id=EVALUATION, sets=sets, background_loss=3.0,
        exposures={},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=1_000)
    parser.add_argument("--running", type=int, default=8)
    options = parser.parse_args()
    make(options.folder, num_runs=options.runs, num_lines=options.lines, num_running=options.running)


if __name__ == "__main__":
    main()
