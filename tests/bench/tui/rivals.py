"""Workspaces of the rivals, as large as ours: one real run or job of each, and copies of it under other names."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_WANDB_RUN = """
import wandb
run = wandb.init(project="p", mode="offline", id="first")
for i in range(100):
    run.log({metric: i * 0.01 for metric in "abcd"})
run.finish()
"""

_EXPERIMAESTRO_JOB = """
import sys
from pathlib import Path
from experimaestro import Param, Task, experiment

class Say(Task):
    number: Param[int]

    def execute(self):
        print(self.number)

if __name__ == "__main__":
    with experiment(Path(sys.argv[1]), "many", port=None):
        Say.C(number=0).submit()
"""


def make_wandb_runs(wandb: Path, folder: Path, num_runs: int) -> Path:
    """Offline runs of four metrics and a hundred steps; gives the folder that holds them."""
    env = os.environ | {"WANDB_DIR": str(folder), "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    subprocess.run([wandb.parent / "python", "-c", _WANDB_RUN], check=True, env=env, cwd=folder)
    runs = folder / "wandb"
    first = next(runs.glob("offline-run-*-first"))
    content = (first / "run-first.wandb").read_bytes()
    for i in range(num_runs):
        copy = runs / f"offline-run-20260101_000000-r{i:05d}"
        copy.mkdir()
        (copy / f"run-r{i:05d}.wandb").write_bytes(content)
    shutil.rmtree(first)
    return runs


def make_experimaestro_jobs(program: Path, folder: Path, num_jobs: int) -> Path:
    """One experiment of so many jobs that are done; they have no metrics. Gives its workspace."""
    script, workspace = folder / "job.py", folder / "workspace"
    script.write_text(_EXPERIMAESTRO_JOB)
    env = os.environ | {"HOME": str(folder)}
    subprocess.run([program.parent / "python", script, workspace], check=True, env=env, cwd=folder, capture_output=True)
    (first,) = (workspace / "jobs").glob("*/*")
    run = next(path for path in (workspace / "experiments" / "many").iterdir() if path.is_dir())
    link = next(run.glob("jobs/*/*"))
    texts = {path.relative_to(first): path.read_text() for path in first.rglob("*") if path.is_file()}
    listed = {path: path.read_text() for path in (run / "jobs.jsonl", run / "objects.jsonl", *run.glob("events/*"))}
    ids = [first.name, *(hashlib.sha256(str(i).encode()).hexdigest() for i in range(1, num_jobs))]
    for job_id in ids[1:]:
        for path, text in texts.items():
            copy = first.parent / job_id / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text.replace(first.name, job_id))
        (link.parent / job_id).symlink_to(first.parent / job_id)
    for path, text in listed.items():
        path.write_text("".join(text.replace(first.name, job_id) for job_id in ids))
    state = f'"{first.name}": "done"'
    status = run / "status.json"
    assert state in status.read_text()
    all_states = ",\n".join(state.replace(first.name, job_id) for job_id in ids)
    status.write_text(status.read_text().replace(state, all_states))
    return workspace
