"""The probe: this machine's training speed at a sweep's shapes, measured by training on random tokens for a moment.

    python -m engine.training.probe WORKSPACE < bundle.json        prints a Probe; keeps it in probe.json

Shapes measured before are not measured again, and shapes too large to try here are left out: they are forecast by
their arithmetic.
"""

from __future__ import annotations

import platform
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import psutil
import torch

from engine.records.bundle import SweepBundle
from engine.records.forecast import Probe, Rate, shape_key
from engine.records.record import decoded, encoded, plain, read_record
from engine.records.workspace import Workspace, write_json
from engine.spec.runspec import RunSpec
from engine.training.model import decoder_of, untrained
from engine.training.optim import make_optimizer
from engine.training.run import device_name, keep_freed_memory

_WARMUP_STEPS, _MEASURE_S = 3, 0.7
# FLOP of one step: more than this takes too long to try (a CPU core does some 10^10 a second, a GPU some 10^14).
_LARGEST_STEP_FLOPS = {"cpu": 4e10, "cuda": 2e15}


def probe(bundle: SweepBundle, workspace: Workspace) -> Probe:
    """Measure each of the sweep's model sizes once."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    process_bytes = psutil.Process().memory_info().rss
    torch.set_num_threads(1)
    keep_freed_memory()
    name = device_name(device)
    known = read_record(Probe, workspace.probe)
    rates = dict(known.rates) if known is not None and (known.device, known.host) == (name, platform.node()) else {}
    chosen: dict[str, Rate] = {}
    for run in {run.model.name: run for run in bundle.runs}.values():
        vocab_size = bundle.plan.vocab_size or 50_257
        key = shape_key(run, vocab_size)
        flops = run.model.train_flops_per_token(vocab_size, run.training.context_length)
        rows = run.micro_batch_size or run.training.batch_size
        if (
            key not in rates
            and _is_here(run)
            and flops * rows * run.training.context_length <= _LARGEST_STEP_FLOPS[device.type]
        ):
            speed = _measure(run, vocab_size, rows, device)
            rates[key] = Rate(
                model=run.model.name, num_params=run.model.num_params, train_flops_per_token=flops, tokens_per_s=speed
            )
        if key in rates:
            chosen[run.model.name] = rates[key]
    measured = Probe(device=name, host=platform.node(), num_threads=1, process_bytes=process_bytes, rates=rates)
    if workspace.root.is_dir():
        write_json(workspace.probe, plain(measured))
    return msgspec.structs.replace(measured, rates=chosen)


def _measure(run: RunSpec, vocab_size: int, rows: int, device: torch.device) -> float:
    """Tokens per second of whole training steps."""
    length = run.training.context_length
    model = untrained(run, vocab_size).to(device, torch.float32)
    decoder, optimizer = decoder_of(model, length), make_optimizer(model, run.training)
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, vocab_size, (rows, length))).to(device)
    num_steps, started = 0, 0.0
    while num_steps <= _WARMUP_STEPS or time.perf_counter() - started < _MEASURE_S:
        if num_steps == _WARMUP_STEPS:
            _wait(device)
            started = time.perf_counter()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=run.training.precision == "bf16"):
            loss = decoder(tokens, tokens, padded=False) / tokens.numel()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        num_steps += 1
    _wait(device)
    return (num_steps - _WARMUP_STEPS) * tokens.numel() / (time.perf_counter() - started)


def _is_here(run: RunSpec) -> bool:
    """Whether its shape is known without a network."""
    return run.model.architecture == "llama" or Path(str(run.init_from)).is_dir()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> int:
    bundle = decoded(SweepBundle, sys.stdin.buffer.read())
    sys.stdout.buffer.write(encoded(probe(bundle, Workspace(Path(sys.argv[1])))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
