"""A large background: memory and time of its preparation, killed once on the way and gone on with.

    python -m tests.bench.background [--bytes 1G] [--kill-after 60]

The text is made up: JSON lines of random words, cut by a byte-level tokenizer of 400 tokens.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.corpus.prepare import plan
from engine.records.record import encoded
from engine.records.workspace import Workspace, read_json
from engine.spec.numbers import parse_count
from tests.checkpoints import save_tokenizer_of_transformers
from tests.conftest import SAMPLES, sweep_text

SETTINGS = '[background]\nsource = "files"\npath = "text.jsonl"\n'


def write_text(path: Path, num_bytes: int) -> None:
    rng, written = random.Random(0), 0
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(20_000)]
    with path.open("w") as file:
        while written < num_bytes:
            written += file.write(json.dumps({"text": " ".join(rng.choices(words, k=400))}) + "\n")


def sweep_in(folder: Path) -> Path:
    save_tokenizer_of_transformers(folder / "tokenizer")
    text = sweep_text(context_length="96", prior_rate="200")
    text = text.replace('kind = "word"\nvocab_size = 300', 'kind = "hf"\nname = "tokenizer"') + SETTINGS
    for name in ("facts.jsonl", "templates.toml"):
        (folder / name).symlink_to(SAMPLES / name)
    (folder / "big.toml").write_text(text)
    return folder / "big.toml"


def prepared(argv: list[str], kill_after_s: float | None) -> tuple[float, int]:
    """Seconds and peak memory in bytes of one attempt, as Linux keeps it of a process since it was started: what
    `wait4` tells begins with this process's own."""
    began, peak = time.perf_counter(), 0
    with subprocess.Popen(argv) as process:
        while process.poll() is None:
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            peak = max(peak, int(found[1]) * 1024 if found else 0)
            time.sleep(0.1)
            if kill_after_s is not None and time.perf_counter() - began > kill_after_s:
                process.kill()
    return time.perf_counter() - began, peak


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=parse_count, default=10**9)
    parser.add_argument("--kill-after", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, workspace = Path(name), Workspace(Path(name) / "w")
        write_text(folder / "text.jsonl", options.bytes)
        workspace.create()
        bundle = plan(sweep_in(folder), workspace)
        sweep = workspace.sweep(bundle.plan.sweep)
        sweep.root.mkdir(parents=True)
        sweep.bundle.write_bytes(encoded(bundle))
        argv = [sys.executable, "-m", "engine.corpus.prepare", "make", str(sweep.root)]
        attempts = [prepared(argv, options.kill_after)]
        making = workspace.tokens(f".{bundle.plan.tokens_id}.making")
        kept = (read_json(making / "tokenised.json") or {}).get("num_tokens", 0) if making.exists() else 0
        attempts.append(prepared(argv, None))
        about = read_json(workspace.tokens(bundle.plan.tokens_id) / "background.json")
    assert about is not None
    print(
        json.dumps(
            {
                "bytes": options.bytes, "tokens": about["num_tokens"], "tokens_kept_of_the_killed": kept,
                "seconds": [round(seconds, 1) for seconds, _ in attempts],
                "peak_bytes": max(peak for _, peak in attempts),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
