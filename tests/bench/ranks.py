"""One run by two processes beside one: how far losses differ, and how many tokens a second.

    python -m tests.bench.ranks [--tokens 102400] [--speed-tokens 80k]

Trains smoke.toml's nano-7k (F = 12) for 400 steps by one process and by two, DDP and FSDP2 (gloo), in fp64 and in fp32,
and a model of 7 M parameters for its speed. Prints a table; asserts nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from engine.records.bundle import read_section
from engine.records.metrics import RetentionRecord, StepRecord, read_metrics
from engine.records.results import read_result
from engine.records.workspace import RunFolder, Workspace, write_json
from engine.spec.runspec import FactSets, RunSpec, run_name
from tests.conftest import SAMPLES, prepare, sweep_text


def train(workspace: Workspace, name: str, spec: RunSpec, num_processes: int) -> RunFolder:
    """Train it in a workspace of this name, under the id that the spec has with its changes."""
    facts = read_section(FactSets, workspace.facts(spec.facts_id))
    spec = spec.model_copy(update={"run_id": run_name(spec, facts)})
    folder = Workspace(workspace.root / name).run(spec.run_id)
    folder.root.mkdir(parents=True)
    for shared in ("tokens", "facts"):
        (workspace.root / name / shared).symlink_to(workspace.root / shared)
    write_json(folder.spec, spec.model_dump(mode="json"))
    start = ["engine.training.run"] if num_processes == 1 else ["engine.training.processes", str(num_processes)]
    subprocess.run([sys.executable, "-m", *start, str(folder.root)], check=True)
    return folder


def losses(folder: RunFolder) -> list[float]:
    records = read_metrics(folder.metrics)
    of_steps = [r.loss for r in records if isinstance(r, StepRecord) and r.loss is not None]
    return [*of_steps, *(r.background_loss or 0.0 for r in records if isinstance(r, RetentionRecord))]


def specs(folder: Path, **changes: str) -> tuple[Workspace, RunSpec]:
    """A prepared workspace, and its first run that infuses anything."""
    folder.mkdir()
    for file in ("facts.jsonl", "templates.toml"):
        (folder / file).symlink_to(SAMPLES / file)
    (folder / "sweep.toml").write_text(sweep_text(**changes))
    workspace = Workspace(folder / "workspace")
    workspace.create()
    bundle = prepare(folder / "sweep.toml", workspace).bundle
    return workspace, next(run for run in bundle.runs if run.frequency)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", default="102400", help="that the small model trains on")
    parser.add_argument("--speed-tokens", default="80k", help="that the model of 7 M parameters trains on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        own = {"infusion_frequency": "[0, 12]", "seed": "[0]", "every_tokens": '"20k"', "prior_rate": "1000"}
        workspace, spec = specs(Path(scratch, "a"), model_size='["nano-7k"]', num_tokens=f'["{options.tokens}"]', **own)
        for precision in ("fp64", "fp32"):
            training = spec.training.model_copy(update={"precision": precision})
            run = spec.model_copy(update={"training": training})
            one = losses(train(workspace, f"{precision}-1", run, 1))
            for kind in ("ddp", "fsdp"):
                two = losses(train(workspace, f"{precision}-{kind}", run.model_copy(update={"data_parallel": kind}), 2))
                off = max(abs(a - b) / b for a, b in zip(two, one, strict=True))
                print(f"{precision} {kind:<4}  largest relative difference of {len(one)} losses: {off:.2g}")
        own |= {"context_length": "128", "batch_size": "16", "every_tokens": '"1M"'}
        workspace, spec = specs(
            Path(scratch, "b"), model_size='["nano-7.1m"]', num_tokens=f'["{options.speed_tokens}"]', **own
        )
        for kind, num_processes in (("ddp", 1), ("ddp", 2), ("fsdp", 2)):
            run = spec.model_copy(update={"data_parallel": kind})
            folder = train(workspace, f"{kind}-{num_processes}", run, num_processes)
            result = read_result(folder.result(run.evaluation_id))
            assert result is not None
            speed = result.execution.tokens_per_s
            print(
                f"7.1M, {num_processes} x 1 thread, {kind if num_processes > 1 else 'alone':<5} {speed:,.0f} tokens/s"
            )


if __name__ == "__main__":
    main()
