"""Training speed beside Hugging Face's Trainer: the same model, the same batches of the same data, one thread.

    python tests/bench/throughput.py [--rounds 3] [--tokens 205k]          needs `pip install -e '.[slow]'`

The sides take turns, each in a process of its own. `mean` is tokens over wall-clock time from the tenth step to the
last, all that a side does in between included (for kitui: building the mixture, auditing its exposures, writing
metrics); `median` is by the median time of a step, which a machine's other guests disturb less. `trainer+malloc` is
Trainer with the allocator settings that kitui makes for itself, given from outside. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))
SIDES = ("kitui", "trainer", "trainer+malloc")
FIRST_STEP = 10
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
# Everything that costs time and is not training is off; the fused optimizer and the ready-made batches are the quickest
# that Trainer offers on a CPU (torch.compile takes longer to compile than these runs take).
TRAINER = {
    "use_cpu": True,
    "optim": "adamw_torch_fused",
    "lr_scheduler_type": "cosine",
    "max_grad_norm": 1.0,
    "num_train_epochs": 1,
    "logging_strategy": "no",
    "save_strategy": "no",
    "eval_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "dataloader_num_workers": 0,
    "dataloader_pin_memory": False,
    "remove_unused_columns": False,
    "average_tokens_across_devices": False,
    "include_num_input_tokens_seen": "no",
    "skip_memory_metrics": True,
}


def prepared(root: Path, num_tokens: str) -> Path:
    """A workspace with the sweep's token files; the folder of its one run."""
    from engine.corpus.prepare import make, plan
    from engine.records.record import encoded
    from engine.records.workspace import Workspace, write_json

    for name in ("facts.jsonl", "templates.toml"):
        (root / name).symlink_to(ROOT / "sample_data" / name)
    sweep = root / "throughput.toml"
    text = (Path(__file__).parent / "throughput.toml").read_text()
    sweep.write_text(text.replace('num_tokens = ["205k"]', f'num_tokens = ["{num_tokens}"]'))
    workspace = Workspace(root / "workspace")
    workspace.create()
    bundle = plan(sweep, workspace)
    folder = workspace.sweep(bundle.plan.sweep)
    folder.root.mkdir(parents=True)
    folder.bundle.write_bytes(encoded(bundle))
    make(folder, workspace)
    write_json(workspace.facts(bundle.plan.facts_id), bundle.facts.model_dump(mode="json"))
    run = workspace.run(bundle.runs[0].run_id)
    run.root.mkdir()
    write_json(run.spec, bundle.runs[0].model_dump(mode="json"))
    return run.root


def kitui_side(run_root: Path) -> dict[str, float]:
    import shutil

    from engine.records.metrics import StepRecord, read_metrics
    from engine.records.workspace import RunFolder
    from engine.training.run import run

    folder = RunFolder(run_root)
    for path in (folder.metrics, folder.latest):
        path.unlink(missing_ok=True)
    for path in run_root.glob("result-*.json"):
        path.unlink()
    shutil.rmtree(folder.checkpoints, ignore_errors=True)
    assert run(folder, num_threads=1, attempt=1, warm_start=False) == 0
    steps = [r for r in read_metrics(folder.metrics) if isinstance(r, StepRecord) and r.step >= FIRST_STEP]
    return speeds([(r.num_tokens, r.time_s) for r in steps])


def trainer_side(run_root: Path) -> dict[str, float]:
    import numpy as np
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from engine.corpus.background import open_background
    from engine.corpus.tokenizer import load_tokenizer
    from engine.records.bundle import read_section
    from engine.records.metrics import MetricsWriter
    from engine.records.workspace import RunFolder
    from engine.spec.runspec import FactSets, RunSpec
    from engine.training import trainer as own

    torch.set_num_threads(1)
    folder = RunFolder(run_root)
    spec = read_section(RunSpec, folder.spec)
    facts = read_section(FactSets, folder.workspace.facts(spec.facts_id))
    tokens = folder.workspace.tokens(spec.tokens_id)
    parts = own.Trainer(
        folder, spec, facts, load_tokenizer(tokens), open_background(tokens),
        device=torch.device("cpu"), attempt=1, writer=MetricsWriter(Path(os.devnull)),
    )  # fmt: skip
    length, batch = spec.training.context_length, spec.training.batch_size
    rows = [parts.mixture.row(r).tokens for r in range(parts.mixture.num_rows)]
    whole = np.stack([row for row in rows if len(row) == length])
    # Trainer predicts each token but the first from those before it: the same work as ours on the same rows.
    data = [{"input_ids": torch.from_numpy(row), "labels": torch.from_numpy(row)} for row in whole]
    times: dict[int, float] = {}

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            times[state.global_step] = time.time()

    arguments = TrainingArguments(
        output_dir=str(run_root / "trainer"), per_device_train_batch_size=batch, learning_rate=3e-3, **TRAINER
    )
    Trainer(model=parts.decoder.causal_lm, args=arguments, train_dataset=data, callbacks=[Clock()]).train()
    return speeds([(step * batch * length, at_s) for step, at_s in times.items() if step >= FIRST_STEP])


def speeds(marks: list[tuple[int, float]]) -> dict[str, float]:
    """Tokens/s from (tokens so far, time) pairs: over all, and by the median of the stretches between them."""
    between = [(n - m) / (t - s) for (m, s), (n, t) in pairwise(marks)]
    (first, started), (last, ended) = marks[0], marks[-1]
    return {"mean": (last - first) / (ended - started), "median": statistics.median(between)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", default="205k")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side = kitui_side if options.side == "kitui" else trainer_side
        print(json.dumps(side(options.run)))
        return
    measured: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        run_root = prepared(Path(folder), options.tokens)
        for _ in range(options.rounds):
            for side in SIDES:
                env = os.environ | ONE_THREAD | (MALLOC if side.endswith("malloc") else {})
                argv = [sys.executable, __file__, "--side", side, "--run", str(run_root)]
                done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, text=True, check=True)
                measured[side].append(json.loads(done.stdout.splitlines()[-1]))
                print(f"{side:16s} {measured[side][-1]['mean']:9,.0f} tokens/s", file=sys.stderr, flush=True)
    tokens_per_s = {
        side: {kind: statistics.median(m[kind] for m in rounds) for kind in ("mean", "median")}
        for side, rounds in measured.items()
    }
    ratios = {
        f"kitui / {side}": [
            round(own["mean"] / other["mean"], 2) for own, other in zip(measured["kitui"], measured[side], strict=True)
        ]
        for side in SIDES[1:]
    }
    print(
        json.dumps(
            {"tokens_per_s": tokens_per_s, "ratio by round": ratios, "rounds": measured, "trainer": TRAINER}, indent=1
        )
    )


if __name__ == "__main__":
    main()
